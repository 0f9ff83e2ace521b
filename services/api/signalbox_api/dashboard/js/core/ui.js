/**
 * The rendering library: Preact, with htm for its templates. Only this module knows where they lie; `vendor/` is filled
 * from npm when Signalbox is installed.
 * @module
 */

import htm from "../../vendor/htm.js";
import { h } from "../../vendor/preact.js";

export { useContext, useEffect, useLayoutEffect, useMemo, useRef, useState } from "../../vendor/hooks.js";
export { Component, createContext, render } from "../../vendor/preact.js";

export const html = htm.bind(h);
