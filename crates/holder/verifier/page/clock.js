// The only place of the page that asks for the time.

/** Seconds since 1970-01-01T00:00:00Z by the clock of the device. */
export function now() {
  return Math.floor(Date.now() / 1000);
}
