/**
 * The rendering library: Preact, with htm for its templates. Only this module knows where they lie; `vendor/` is filled
 * from npm when Signalbox is installed. Each text passes `showVisibly` here, before it comes to the page.
 * @module
 */

import htm from "../../vendor/htm.js";
import { h, options } from "../../vendor/preact.js";
import { showVisibly } from "./visible.js";

export { useContext, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../../vendor/hooks.js";
export { Component, createContext, render } from "../../vendor/preact.js";

// Preact calls this for each element, and for each text wherever it comes from.
options.vnode = showVisibly;

export const html = htm.bind(h);
