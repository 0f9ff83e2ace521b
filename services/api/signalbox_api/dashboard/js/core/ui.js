/**
 * The one door to the rendering library, so that its place is named once.
 *
 * `vendor/htm-preact.js` is htm's `preact/standalone.module.js`; it is put there when Signalbox is installed.
 * @module
 */

export {
  Component,
  createContext,
  h,
  html,
  render,
  useContext,
  useEffect,
  useLayoutEffect,
  useMemo,
  useRef,
  useState,
} from "../../vendor/htm-preact.js";
