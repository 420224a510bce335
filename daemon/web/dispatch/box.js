// Questions to the box over HTTP, in the name of this device.

import { within } from '/js/reach.js';
import { storedDevice } from '/js/sign-in.js';

const ANSWER_WITHIN_MS = 15000;

/** An answer the box has refused: `status` as HTTP counts, the sentence as message; status 0: no answer came. */
export class Refused extends Error {
  constructor(status, sentence) {
    super(sentence);
    this.status = status;
  }
}

/** The answer to `path` under /api/v1. */
export async function ask(path, { method = 'GET', body, keepalive = false } = {}) {
  let response;
  try {
    response = await fetch(`/api/v1${path}`, {
      method,
      headers: { Authorization: `Bearer ${storedDevice()}`, ...(body && { 'Content-Type': 'application/json' }) },
      body: body && JSON.stringify(body),
      cache: 'no-store',
      keepalive,
      signal: within(ANSWER_WITHIN_MS),
    });
  } catch {
    throw new Refused(0, '');
  }
  if (response.ok) return response;
  const refusal = await response.json().catch(() => ({}));
  throw new Refused(response.status, refusal.message ?? '');
}

export const box = {
  /** Newest first; `query` as the box takes it: channel, q, before, limit. */
  async recordings(query) {
    const set = Object.entries(query).filter(([, value]) => value !== '' && value !== null && value !== undefined);
    return (await ask(`/recordings?${new URLSearchParams(set)}`)).json();
  },
  async audio(transmissionId) {
    return (await ask(`/recordings/${transmissionId}/audio`)).arrayBuffer();
  },
  async arrivals() {
    return (await ask('/arrivals')).json();
  },
  /** `name`: as it was read by whoever decides. */
  admit: (arrival, admit, name) => ask(`/arrivals/${encodeURIComponent(arrival)}`, { method: 'POST', body: { admit, name } }),
};
