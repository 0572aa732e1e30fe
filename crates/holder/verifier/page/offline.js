// Readiness to open without network: its service worker is at work and every file is in the cache.

import "./page-files.js";

/** Starts the service worker; `onReplaced` is called when a newer version of the page has taken over. */
export async function startServiceWorker(onReplaced) {
  const hadOne = navigator.serviceWorker.controller !== null;
  if (hadOne) {
    navigator.serviceWorker.addEventListener("controllerchange", onReplaced, { once: true });
  }
  await navigator.serviceWorker.register("sw.js", { updateViaCache: "none" });
  await navigator.serviceWorker.ready;
}

/** True where every file of this version of the page is in the cache. */
export async function isPageKept() {
  const registration = await navigator.serviceWorker.getRegistration();
  if (!registration?.active || !(await caches.has(self.PAGE_CACHE))) {
    return false;
  }
  const cache = await caches.open(self.PAGE_CACHE);
  const found = await Promise.all(self.PAGE_FILES.map((file) => cache.match(file)));
  return found.every((response) => response?.ok);
}
