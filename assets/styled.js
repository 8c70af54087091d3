// Returns a component's `mount` that first gives its shadow tree the component's styles.
export function styled(mount, css) {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  return (component) => {
    const root = component.parentElement.getRootNode();
    if (!root.adoptedStyleSheets.includes(sheet)) root.adoptedStyleSheets.push(sheet);
    return mount(component);
  };
}
