/**
 * Characters that turn text around or cannot be seen, shown as what they are: `\u202e`, `\x1b`. The same ones as on the
 * command line, but for the tab, which does nothing to a page.
 * @module
 */

const ACTING = /[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

/** Attributes that people read or hear. `value` is one where nobody can write. */
const SEEN = ["title", "aria-label", "aria-description", "aria-valuetext", "alt", "label", "placeholder"];

/** @param {string} text */
export function visible(text) {
  return text.replace(ACTING, escaped);
}

/** @param {string} character */
function escaped(character) {
  const code = character.charCodeAt(0);
  return code < 0x100 ? `\\x${code.toString(16).padStart(2, "0")}` : `\\u${code.toString(16).padStart(4, "0")}`;
}

/**
 * What people see of a node of the page, whether text or an element; what the page itself reads, such as `href` and
 * `data-…`, stays as it is. Changes the node.
 * @param {{ type: unknown, props: any }} vnode
 */
export function showVisibly(vnode) {
  if (typeof vnode.props === "string") vnode.props = visible(vnode.props);
  else if (typeof vnode.type === "string") {
    const seen = vnode.props.readOnly || vnode.props.readonly ? [...SEEN, "value"] : SEEN;
    for (const name of seen) if (typeof vnode.props[name] === "string") vnode.props[name] = visible(vnode.props[name]);
  }
}
