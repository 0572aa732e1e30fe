// The service worker: answers requests for the page's files from the cache, so that the page opens without network.
// What is not among them, the signed data above all, comes from the server; the page verifies that and keeps it
// itself (data.js).

importScripts("page-files.js");

self.addEventListener("install", (event) => {
  event.waitUntil(keepAll());
});

async function keepAll() {
  const cache = await caches.open(self.PAGE_CACHE);
  await cache.addAll(self.PAGE_FILES.map((file) => new Request(file, { cache: "reload" })));
  await self.skipWaiting();
}

self.addEventListener("activate", (event) => {
  event.waitUntil(takeOver());
});

async function takeOver() {
  const names = await caches.keys();
  const old = names.filter((name) => name.startsWith("page-") && name !== self.PAGE_CACHE);
  await Promise.all(old.map((name) => caches.delete(name)));
  await self.clients.claim();
}

self.addEventListener("fetch", (event) => {
  event.respondWith(answer(event.request));
});

async function answer(request) {
  const cache = await caches.open(self.PAGE_CACHE);
  const file = request.mode === "navigate" ? self.registration.scope : request;
  return (await cache.match(file, { ignoreSearch: true })) ?? fetch(request);
}
