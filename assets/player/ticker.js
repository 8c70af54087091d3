// Calls back some forty times a second, from a worker: timers of a background page are slow.

const PERIOD_MS = 25;
const WORKER = `let timer = null;
onmessage = ({ data }) => {
  clearInterval(timer);
  timer = data ? setInterval(() => postMessage(0), ${PERIOD_MS}) : null;
};`;

export function ticker(call) {
  let set = null; // starts and stops the worker, or a page timer if there is no worker
  const begin = () => {
    try {
      const url = URL.createObjectURL(new Blob([WORKER], { type: "text/javascript" }));
      const worker = new Worker(url);
      worker.onmessage = call;
      return (on) => worker.postMessage(on);
    } catch {
      let timer = null;
      return (on) => {
        clearInterval(timer);
        timer = on ? setInterval(call, PERIOD_MS) : null;
      };
    }
  };
  return {
    start: () => (set ??= begin())(true),
    stop: () => set?.(false),
  };
}
