// Moments as the box counts them (UTC) and as this device's owner writes them.

const two = (n) => String(n).padStart(2, '0');

/** UTC seconds as a datetime-local field holds them. */
export function localMoment(seconds) {
  const date = new Date(seconds * 1000);
  return `${date.getFullYear()}-${two(date.getMonth() + 1)}-${two(date.getDate())}T${two(date.getHours())}:${two(date.getMinutes())}`;
}

/** UTC seconds of what a datetime-local field holds, or null. */
export function momentOf(text) {
  const ms = new Date(text).getTime();
  return Number.isNaN(ms) ? null : Math.floor(ms / 1000);
}

/** 0:12, 61:02 */
export const clock = (ms) => {
  const s = Math.max(0, Math.round(ms / 1000));
  return `${Math.floor(s / 60)}:${two(s % 60)}`;
};
