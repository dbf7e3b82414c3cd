// Questions to a Consul agent that the client has no calls for, about Connect, its certificate authority, as a rule: each with a time limit, and
// with clear failures.

import type { IncomingHttpHeaders } from 'node:http';
import { request as requestSecure } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { backOffMs, nextIndex } from './consul-catalog.ts';

// Not by `import`, which would read all of the module's exports and so load fetch and WebSocket: 14 MB and 35 ms of every start.
const { request: requestPlain } = process.getBuiltinModule('node:http');

export type ConnectErrorCode =
  /** No answer, or none in time, or an agent without a leader. */
  | 'CONSUL_UNREACHABLE'
  /** Consul runs without Connect. */
  | 'CONNECT_DISABLED'
  /** The token may not. */
  | 'CONNECT_DENIED'
  /** The answer cannot be used: the message says why. */
  | 'CONNECT_UNUSABLE';

/** One line, which says what to do. Never holds the token or a key. */
export class ConnectError extends Error {
  override readonly name = 'ConnectError';
  readonly code: ConnectErrorCode;
  constructor(code: ConnectErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

export interface AgentAddress {
  /** `http://127.0.0.1:8500` */
  readonly address: string;
  readonly token?: string | undefined;
  /** In PEM: who signed the certificate of an agent at `https:`. Otherwise those count that Node trusts. */
  readonly ca?: string | undefined;
}

export interface Question {
  readonly path: string;
  /** Sent as JSON by POST; without it the question is a GET. */
  readonly body?: object;
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

export interface AgentAnswer {
  readonly body: unknown;
  readonly index: string | undefined;
}

/** How long the agent holds a question until there is something new. */
const WAIT_MS = 10_000;
/** It may add a sixteenth to it, and takes its time; an agent that is silent for longer hangs. */
const timeoutOf = (waitMs: number): number => Math.ceil(waitMs * (17 / 16)) + 4000;
/** Whatever the agent does, it is not asked more often. */
const PAUSE_MS = 100;
const BACK_OFF = { baseMs: 100, maxMs: 5_000 };
const TEXT_CHARACTERS_MAX = 200;

/** @throws ConnectError */
export async function askAgent(agent: AgentAddress, question: Question): Promise<AgentAnswer> {
  const { address } = agent;
  const { path, timeoutMs, signal } = question;
  const timeout = AbortSignal.timeout(timeoutMs);
  let answer: { readonly status: number; readonly headers: IncomingHttpHeaders; readonly text: string };
  try {
    answer = await send(agent, question, signal === undefined ? timeout : AbortSignal.any([signal, timeout]));
  } catch (error) {
    if (!timeout.aborted) throw connectionFailure(address, error as NodeJS.ErrnoException);
    throw new ConnectError('CONSUL_UNREACHABLE', silent(address, `no answer within ${timeoutMs} ms`), { cause: error });
  }
  if (answer.status >= 300) throw refusal(address, path, answer.status, answer.text);
  try {
    return { body: JSON.parse(answer.text) as unknown, index: answer.headers['x-consul-index']?.toString() };
  } catch (error) {
    throw new ConnectError('CONNECT_UNUSABLE', `what answers at ${address} is not Consul: no JSON from ${path}`, { cause: error });
  }
}

async function send({ address, token, ca }: AgentAddress, { path, body }: Question, signal: AbortSignal) {
  const url = new URL(path, address);
  const options = {
    method: body === undefined ? 'GET' : 'POST',
    headers: { ...(token !== undefined && { 'X-Consul-Token': token }) },
    signal,
    ...(ca !== undefined && { ca }),
  };
  const { promise, resolve, reject } = Promise.withResolvers<{ status: number; headers: IncomingHttpHeaders; text: string }>();
  const request = (url.protocol === 'https:' ? requestSecure : requestPlain)(url, options, (response) => {
    const chunks: Buffer[] = [];
    response.on('data', (chunk: Buffer) => chunks.push(chunk));
    response.on('error', reject);
    response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text: Buffer.concat(chunks).toString() }));
  });
  request.on('error', reject);
  request.end(body === undefined ? undefined : JSON.stringify(body));
  return promise;
}

/**
 * Asks now and then again whenever there may be something new, until the signal aborts. After a failure it asks from the beginning, backing
 * off; what `onAnswer` throws counts as one. Does not reject.
 */
export async function followAgent(agent: AgentAddress, { path, waitMs = WAIT_MS, signal, random, onAnswer, onFailure }: {
  readonly path: string;
  readonly waitMs?: number | undefined;
  readonly signal: AbortSignal;
  readonly random: () => number;
  readonly onAnswer: (body: unknown) => void;
  readonly onFailure: (error: ConnectError) => void;
}): Promise<void> {
  let index = 0n;
  let failures = 0;
  while (!signal.aborted) {
    // oxlint-disable no-await-in-loop -- one after the other
    let pauseMs = PAUSE_MS;
    try {
      const query = index === 0n ? '' : `?index=${index}&wait=${waitMs}ms`;
      const answer = await askAgent(agent, { path: `${path}${query}`, timeoutMs: timeoutOf(waitMs), signal });
      if (signal.aborted) return;
      index = nextIndex(index, answer.index).index;
      failures = 0;
      onAnswer(answer.body);
    } catch (error) {
      if (signal.aborted) return;
      index = 0n;
      pauseMs += backOffMs(failures, random, BACK_OFF);
      failures += 1;
      onFailure(error as ConnectError);
    }
    await sleep(pauseMs, undefined, { signal, ref: false }).catch(() => {});
    // oxlint-enable no-await-in-loop
  }
}

/** What TLS says of a certificate that it does not take. */
const UNTRUSTED = /CERT|SIGNATURE|CRL|ISSUER/;

function connectionFailure(address: string, error: NodeJS.ErrnoException): ConnectError {
  const reason = error.code ?? error.message;
  const message = UNTRUSTED.test(reason)
    ? `Consul at ${address} shows a certificate that is not trusted (${reason}); name the file of its authority with --consul-ca`
    : silent(address, reason);
  return new ConnectError('CONSUL_UNREACHABLE', message, { cause: error });
}

function silent(address: string, reason: string): string {
  return `Consul at ${address} does not answer (${reason}); start an agent there, or set the right address`;
}

function refusal(address: string, path: string, status: number, text: string): ConnectError {
  const words = text.trim().split('\n')[0]!.slice(0, TEXT_CHARACTERS_MAX);
  if (status === 403) return new ConnectError('CONNECT_DENIED', denial(address, path, words));
  if (words.includes('Connect must be enabled')) {
    return new ConnectError('CONNECT_DISABLED', `Consul at ${address} runs without Connect, its certificate authority; set connect { enabled = true } on its servers`);
  }
  const code = status >= 500 ? 'CONSUL_UNREACHABLE' : 'CONNECT_UNUSABLE';
  return new ConnectError(code, `Consul at ${address} answers ${path.split('?')[0]} with ${status}: ${words}`);
}

/** Names the right that lacks. */
function denial(address: string, path: string, words: string): string {
  if (words.includes('ACL not found')) return `consul: this token is not known at ${address} (ACL not found)`;
  if (path.startsWith(LEAF_PATH)) return `consul: this token may not have the certificate of ${path.slice(LEAF_PATH.length).split('?')[0]} (service:write)`;
  if (path === AUTHORIZE_PATH) return 'consul: this token may not ask who may call the service (service:write for it)';
  return `consul: this token may not ask ${path.split('?')[0]}: ${words}`;
}

export const ROOTS_PATH = '/v1/agent/connect/ca/roots';
export const LEAF_PATH = '/v1/agent/connect/ca/leaf/';
export const AUTHORIZE_PATH = '/v1/agent/connect/authorize';
