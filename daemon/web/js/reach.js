// Why the box does not answer. A browser does not tell a refused connection from a lost one, but time does:
// a machine that is there and runs nothing refuses at once, an address that is not on this network stays silent.

const REFUSED_WITHIN_MS = 2000;
const SILENT_AFTER_MS = 5000;

let networkChanged = false;
const changed = () => { networkChanged = true; };
addEventListener('offline', changed);
navigator.connection?.addEventListener?.('change', () => {
  if (navigator.connection.type !== undefined) changed();
});

/** The box was heard: whatever network this is now, it is the right one. */
export const reached = () => { networkChanged = false; };

/** Gives a request up after a while. (AbortSignal.timeout is younger than many a phone.) */
export function within(ms) {
  const controller = new AbortController();
  setTimeout(() => controller.abort(), ms);
  return controller.signal;
}

/** 'offline' (no network), 'elsewhere' (another network), 'silent' (one of the two), 'down', or 'here'. */
export async function whereIsTheBox() {
  if (!navigator.onLine) return 'offline';
  if (navigator.connection?.type === 'cellular') return 'elsewhere';
  const asked = performance.now();
  try {
    await fetch('/here', { cache: 'no-store', signal: within(SILENT_AFTER_MS) });
    return 'here';
  } catch {
    if (!navigator.onLine) return 'offline';
    if (performance.now() - asked > REFUSED_WITHIN_MS) return 'silent';
    return networkChanged ? 'elsewhere' : 'down';
  }
}
