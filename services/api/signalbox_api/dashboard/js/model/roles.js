/**
 * What a role may do.
 * @module
 */

/** Why this user may not do it, in words; empty where they may. @param {import("../types.js").User | null} user @param {string} doing */
export function roleRefusal(user, doing) {
  return user?.role === "viewer" ? `Your role is viewer; ${doing} takes an operator or an admin.` : "";
}
