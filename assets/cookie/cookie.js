// Stores the key of this browser's library in a cookie. If another tab has stored one meanwhile,
// that one is kept and Python is told.
//
// Data: {name, key}. Event to Python: known(key).

const MAX_AGE_SECONDS = 400 * 86_400; // the most that browsers keep one for

function read(name) {
  const cookies = document.cookie.split("; ").map((cookie) => cookie.split("="));
  return cookies.find(([other]) => other === name)?.[1] ?? "";
}

export default function mount({ data, setTriggerValue }) {
  const { name, key } = data;
  const known = read(name);
  const isKey = /^[\w-]{43}$/.test(known);
  const secure = location.protocol === "https:" ? "; Secure" : "";
  const value = isKey ? known : key;
  document.cookie = `${name}=${value}; Max-Age=${MAX_AGE_SECONDS}; Path=/; SameSite=Lax${secure}`;
  if (isKey && known !== key) setTriggerValue("known", known);
}
