// The box's REST interface. Nothing is drawn that the box has not answered.

import { within } from '../js/reach.js';
import { storedDevice } from '../js/sign-in.js';
import { words } from './words.js';

const ANSWER_WITHIN_MS = 15000;

/** What the box, or the way there, had against it: `message` is a sentence for people. */
export class Refused extends Error {
  constructor(status, code, sentence) {
    super(sentence);
    this.status = status;
    this.code = code;
  }
}

const part = encodeURIComponent;
/** path`/users/${id}`: ids cannot break out of their place. */
export const path = (texts, ...ids) => texts.reduce((all, text, i) => all + part(ids[i - 1]) + text);

/** `{a: 1, b: ''}` becomes `?a=1`. */
export function query(asked) {
  const given = Object.entries(asked).filter(([, value]) => value !== '' && value !== null && value !== undefined);
  return given.length ? `?${new URLSearchParams(given)}` : '';
}

async function send(method, where, body) {
  const headers = { Authorization: `Bearer ${storedDevice() ?? ''}` };
  if (body !== undefined) headers['Content-Type'] = 'application/json';
  let response;
  try {
    response = await fetch(`/api/v1${where}`, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
      cache: 'no-store',
      signal: within(ANSWER_WITHIN_MS),
    });
  } catch {
    throw new Refused(0, 'unreachable', words.errors.unreachable);
  }
  if (response.ok) return response;
  let answer = {};
  try {
    answer = await response.json();
  } catch {
    // Not the interface's own words: the sentence below has to do.
  }
  throw new Refused(response.status, answer.error ?? '', answer.message ?? words.errors.refused(response.status));
}

async function json(method, where, body) {
  const response = await send(method, where, body);
  const text = await response.text();
  return text ? JSON.parse(text) : null;
}

export const get = (where) => json('GET', where);
export const post = (where, body = {}) => json('POST', where, body);
export const put = (where, body) => json('PUT', where, body);
export const patch = (where, body) => json('PATCH', where, body);
export const remove = (where) => json('DELETE', where);
export const file = async (where) => (await send('GET', where)).blob();
export const sheet = async (where) => (await send('GET', where)).text();
