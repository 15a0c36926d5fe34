/**
 * A new element. Text always goes in as text: nothing on this page is ever parsed as HTML.
 *
 * @param {string} tag
 * @param {{[attribute: string]: string}} attributes
 * @param {...(Node | string)} children
 */
export function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

/** Sets an element's text, and leaves the document alone when it has it already. */
export function setText(target, text) {
  if (target.textContent !== text) target.textContent = text;
}

/** The element with this id. */
export function byId(id) {
  return document.getElementById(id);
}
