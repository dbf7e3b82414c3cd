// The connection to one Consul agent: every call with a time limit, and one judgement of whether Consul is there.

import { EventEmitter, setMaxListeners } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import type Consul from 'consul';
import { backOffMs } from './consul-catalog.ts';
import type { RegistryProblem } from './registry.ts';

export interface LinkOptions {
  /** `http://127.0.0.1:8500` */
  readonly address: string;
  readonly token: string | undefined;
  /** In PEM: who signed the agent's certificate, for `https:`. */
  readonly ca: string | undefined;
  /** How often Consul is asked whether it is there; without an answer for twice that long and a bit, it is taken as silent. */
  readonly pulseIntervalMs: number;
  /** How long a silence is reported after. */
  readonly outageAfterMs: number;
  /** How long, after the last trouble, the catalog may still lack who is alive. */
  readonly settleMs: number;
  readonly nowMs: () => number;
  readonly random: () => number;
  readonly onProblem: (problem: RegistryProblem) => void;
}

export interface Call {
  readonly timeoutMs: number;
  readonly signal?: AbortSignal | undefined;
}

export interface Answer {
  readonly body: unknown;
  readonly index: string | undefined;
}

/** What the client's methods take beside their own, and its types leave out. */
export type CallOptions = { readonly timeout: number; readonly ctx: EventEmitter };

export interface ConsulLink {
  /** @throws CallError */
  call(work: (consul: Consul, options: CallOptions) => Promise<unknown>, call: Call): Promise<Answer>;
  /** Consul is away, or was until a moment ago: who is missing in its catalog may be alive. */
  readonly isSettling: boolean;
  /** Something went wrong, and Consul has not been heard of since. */
  readonly hasTrouble: boolean;
  /** An outage was reported, and is not over. */
  readonly isDown: boolean;
  /** To be called by whoever sees that Consul has trouble. */
  noteTrouble(): void;
  /** Calls when Consul is there again after trouble. Returns how to stop listening. */
  onRecovered(listener: () => void): () => void;
  close(): Promise<void>;
}

/** `status`: what the agent answered; without one it did not answer. */
export class CallError extends Error {
  override readonly name = 'CallError';
  readonly status: number | undefined;
  constructor(message: string, status: number | undefined) {
    super(message);
    this.status = status;
  }
}

const PULSE_TIMEOUT_MS = 1000;
const PULSE_BACK_OFF = { baseMs: 100, maxMs: 1000 };
const SILENT_AFTER_PULSES = 2.4;

/**
 * Begins to ask Consul for its leader, again and again: that needs no token and no work, and tells sooner than a query that waits for a change,
 * which a dead connection answers as little as a catalog in which nothing happens.
 */
export async function openConsulLink(options: LinkOptions): Promise<ConsulLink> {
  const { address, settleMs, pulseIntervalMs, nowMs } = options;
  const consul = await createClient(options);
  const recovered = new EventEmitter();
  const closing = new AbortController();
  // As many as there are watches, registrations and calls.
  setMaxListeners(0, recovered, closing.signal);
  let heardAtMs = nowMs();
  let troubleAtMs = -Infinity;
  let hasTrouble = false;
  let downSinceMs: number | undefined;

  const isSilent = (): boolean => nowMs() - heardAtMs > pulseIntervalMs * SILENT_AFTER_PULSES;
  const noteTrouble = (): void => {
    troubleAtMs = nowMs();
    hasTrouble = true;
  };

  const call = createCall(consul, closing.signal, noteTrouble);

  function heard(): void {
    const { onProblem } = options;
    if (isSilent()) noteTrouble();
    heardAtMs = nowMs();
    if (!hasTrouble) return;
    hasTrouble = false;
    if (downSinceMs !== undefined) {
      const seconds = ((nowMs() - downSinceMs) / 1000).toFixed(1);
      downSinceMs = undefined;
      onProblem({ where: address, message: `Consul answers again, after ${seconds} s`, recovered: true });
    }
    recovered.emit('recovered');
  }

  function missed(reason: string): void {
    noteTrouble();
    if (downSinceMs !== undefined || nowMs() - heardAtMs < options.outageAfterMs) return;
    downSinceMs = heardAtMs;
    options.onProblem({ where: address, message: `Consul does not answer (${reason}); the instances known last stay in use until it does` });
  }

  async function watchPulse(): Promise<void> {
    for (let misses = 0; !closing.signal.aborted;) {
      // oxlint-disable no-await-in-loop -- one after the other
      try {
        await askForLeader(call);
        misses = 0;
        heard();
      } catch (error) {
        if (closing.signal.aborted) return;
        misses += 1;
        missed((error as Error).message);
      }
      const pauseMs = misses === 0 ? pulseIntervalMs : backOffMs(misses, options.random, PULSE_BACK_OFF);
      await sleep(pauseMs, undefined, { signal: closing.signal }).catch(() => {});
      // oxlint-enable no-await-in-loop
    }
  }
  const pulse = watchPulse();

  return {
    call,
    get isSettling() {
      return hasTrouble || isSilent() || nowMs() - troubleAtMs < settleMs;
    },
    get hasTrouble() {
      return hasTrouble;
    },
    get isDown() {
      return downSinceMs !== undefined;
    },
    noteTrouble,
    onRecovered(listener) {
      recovered.on('recovered', listener);
      return () => recovered.off('recovered', listener);
    },
    async close() {
      closing.abort();
      await pulse;
      consul.destroy();
    },
  };
}

/**
 * Asks once whether Consul answers and has a leader.
 *
 * @throws CallError
 */
export async function askForLeader(call: ConsulLink['call']): Promise<void> {
  const { body } = await call((consul, options) => consul.status.leader(options as object), { timeoutMs: PULSE_TIMEOUT_MS });
  if (typeof body !== 'string' || body === '') throw new CallError('has no leader', 503);
}

function createCall(consul: Consul, closing: AbortSignal, noteTrouble: () => void): ConsulLink['call'] {
  return async (work, { timeoutMs, signal }) => {
    // The client puts the response before the body when its context asks for it, and aborts when it says so.
    const ctx = Object.assign(new EventEmitter(), { includeResponse: true });
    const abort = (): void => void ctx.emit('cancel');
    const signals = [closing, ...(signal ? [signal] : [])];
    const isAborted = (): boolean => signals.some(({ aborted }) => aborted);
    for (const each of signals) each.addEventListener('abort', abort);
    try {
      if (isAborted()) throw new CallError('was given up', undefined);
      const answer = await work(consul, { timeout: timeoutMs, ctx });
      // The client gives back, not throws, an error of another realm, such as all of Node's within Jest.
      if (!Array.isArray(answer)) throw toCallError(answer);
      const [response, body] = answer as [IncomingMessage, unknown];
      return { body, index: response.headers['x-consul-index']?.toString() };
    } catch (error) {
      const failure = toCallError(error);
      if (failure.status === undefined && !isAborted()) noteTrouble();
      throw failure;
    } finally {
      for (const each of signals) each.removeEventListener('abort', abort);
    }
  };
}

async function createClient({ address, token, ca }: LinkOptions): Promise<Consul> {
  // oxlint-disable-next-line eslint/no-restricted-imports -- here it is used
  const { default: Consul } = await import('consul');
  const { protocol, hostname, port } = new URL(address);
  const secure = protocol === 'https:';
  return new Consul({
    host: hostname,
    port: port === '' ? (secure ? 443 : 80) : Number(port),
    secure,
    ...(token !== undefined && { defaults: { token } }),
    ...(secure && ca !== undefined && { agent: new HttpsAgent({ keepAlive: true, ca }) }),
  });
}

function toCallError(error: unknown): CallError {
  if (error instanceof CallError) return error;
  const { response, code, message } = error as NodeJS.ErrnoException & { response?: { statusCode?: number; body?: unknown } };
  if (response?.statusCode === undefined) return new CallError(code ?? message, undefined);
  const body = Buffer.isBuffer(response.body) ? response.body.toString() : response.body;
  const words = typeof body === 'string' ? body.trim().split('\n')[0] : '';
  return new CallError(`${response.statusCode} ${words || message}`, response.statusCode);
}
