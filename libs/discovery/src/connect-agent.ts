// Questions to a Consul agent about Connect, its certificate authority: over plain HTTP, each with a time limit, and with clear failures.

import { setTimeout as sleep } from 'node:timers/promises';
import { backOffMs, nextIndex } from './consul-catalog.ts';

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

/** How long the agent holds a question until there is something new; it may add a sixteenth to it. */
const WAIT_SECONDS = 55;
const WAIT_TIMEOUT_MS = 65_000;
/** Whatever the agent does, it is not asked more often. */
const PAUSE_MS = 100;
const BACK_OFF = { baseMs: 100, maxMs: 5_000 };
const TEXT_CHARACTERS_MAX = 200;

/** @throws ConnectError */
export async function askAgent({ address, token }: AgentAddress, { path, body, timeoutMs, signal }: Question): Promise<AgentAnswer> {
  const timeout = AbortSignal.timeout(timeoutMs);
  let response: Response;
  let text: string;
  try {
    response = await fetch(new URL(path, address), {
      method: body === undefined ? 'GET' : 'POST',
      headers: { ...(token !== undefined && { 'X-Consul-Token': token }) },
      body: body === undefined ? null : JSON.stringify(body),
      signal: signal === undefined ? timeout : AbortSignal.any([signal, timeout]),
    });
    text = await response.text();
  } catch (error) {
    const reason = timeout.aborted ? `no answer within ${timeoutMs} ms` : connectionFailure(error);
    throw new ConnectError('CONSUL_UNREACHABLE', `Consul at ${address} does not answer (${reason}); start an agent there, or set the right address`, { cause: error });
  }
  if (!response.ok) throw refusal(address, path, response.status, text);
  try {
    return { body: JSON.parse(text) as unknown, index: response.headers.get('x-consul-index') ?? undefined };
  } catch (error) {
    throw new ConnectError('CONNECT_UNUSABLE', `what answers at ${address} is not Consul: no JSON from ${path}`, { cause: error });
  }
}

/**
 * Asks now and then again whenever there may be something new, until the signal aborts. After a failure it asks from the beginning, backing
 * off; what `onAnswer` throws counts as one. Does not reject.
 */
export async function followAgent(agent: AgentAddress, { path, signal, random, onAnswer, onFailure }: {
  readonly path: string;
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
      const query = index === 0n ? '' : `?index=${index}&wait=${WAIT_SECONDS}s`;
      const answer = await askAgent(agent, { path: `${path}${query}`, timeoutMs: WAIT_TIMEOUT_MS, signal });
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

function connectionFailure(error: unknown): string {
  const { cause, message } = error as Error & { cause?: NodeJS.ErrnoException };
  return cause?.code ?? cause?.message ?? message;
}

function refusal(address: string, path: string, status: number, text: string): ConnectError {
  const words = text.trim().split('\n')[0]!.slice(0, TEXT_CHARACTERS_MAX);
  if (status === 403) {
    const service = path.startsWith(LEAF_PATH) ? path.slice(LEAF_PATH.length).split('?')[0]! : 'the service';
    return new ConnectError('CONNECT_DENIED', `Consul at ${address} denies this token ${path.split('?')[0]}: ${words}; it needs service:write for ${service}`);
  }
  if (words.includes('Connect must be enabled')) {
    return new ConnectError('CONNECT_DISABLED', `Consul at ${address} runs without Connect, its certificate authority; set connect { enabled = true } on its servers`);
  }
  const code = status >= 500 ? 'CONSUL_UNREACHABLE' : 'CONNECT_UNUSABLE';
  return new ConnectError(code, `Consul at ${address} answers ${path.split('?')[0]} with ${status}: ${words}`);
}

export const ROOTS_PATH = '/v1/agent/connect/ca/roots';
export const LEAF_PATH = '/v1/agent/connect/ca/leaf/';
export const AUTHORIZE_PATH = '/v1/agent/connect/authorize';
