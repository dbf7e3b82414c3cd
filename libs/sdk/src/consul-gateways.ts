// Gateways found by a Consul agent: services named `strife-gateway-<id>` whose checks pass, by blocking queries.

import type { IncomingMessage, RequestOptions } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { setTimeout as sleep } from 'node:timers/promises';
import { backOffMs, systemClock } from './budget.ts';
import { InvalidArgumentError } from './errors.ts';
import type { GatewaySource } from './gateway-source.ts';
import { addressOf } from './registry-gateways.ts';

// Not by `import`, which would read all of the module's exports and so load fetch and WebSocket: 14 MB and 35 ms of every start.
const { request: httpRequest } = process.getBuiltinModule('node:http');

const SERVICE_PREFIX = 'strife-gateway-';
/** What Consul appends to the name of a service's proxy, which is no gateway. */
const PROXY_SUFFIX = '-sidecar-proxy';
/** How long the agent holds a question that has no news. */
const WAIT_SECONDS = 30;
/** Consul adds up to a sixteenth of the wait; an agent that is silent for longer is asked anew. */
const SILENCE_MS_MAX = 40_000;
/** From one question to the next, however fast the agent answers: the catalog may change all the time, and some answers have no index. */
const QUERY_INTERVAL_MIN_MS = 100;
/** How long it holds a question after a pause, in which Consul may have begun anew: it would hold one with an index from before to the end. */
const WAIT_SECONDS_AFTER_PAUSE = 1;
const BODY_BYTES_MAX = 8 * 1024 * 1024;
/** The back-off grows no further than 50 ms times 2 to this. */
const BACK_OFF_DOUBLINGS_MAX = 6;

export interface ConsulOptions {
  /** The agent: `http://127.0.0.1:8500`, or `https://...`. */
  address: string;
  /** A token that may read services and nodes. */
  token?: string | undefined;
  /** The authority of an agent that speaks https; default: those that Node trusts. */
  ca?: string | Buffer | undefined;
}

/**
 * The gateways that pass their checks at this agent. While the agent is away the last list stays. Keeps the process alive until the client is
 * closed. The certificates tell who answers, so whoever writes to Consul can divert calls, but not answer them.
 */
export function gatewaysFromConsul(options: ConsulOptions): GatewaySource {
  const base = baseUrl(options.address);
  return {
    watch(listener) {
      const following = new Map<string, { addresses: string[] | undefined; stop: () => void }>();
      const stopping = new AbortController();
      let told: string | undefined;

      const tell = (): void => {
        const lists = [...following.values()].map(({ addresses }) => addresses);
        // Not before each was read once, so that a start shows no half of a list.
        if (stopping.signal.aborted || lists.includes(undefined)) return;
        const addresses = lists.flatMap((list) => list ?? []).sort();
        if (addresses.join() === told) return;
        told = addresses.join();
        listener(addresses);
      };

      const follow = (name: string): void => {
        const leaving = new AbortController();
        const entry = { addresses: undefined as string[] | undefined, stop: () => leaving.abort() };
        following.set(name, entry);
        void poll(base, `/v1/health/service/${encodeURIComponent(name)}?passing=1&`, options, AbortSignal.any([stopping.signal, leaving.signal]), (body) => {
          entry.addresses = addressesIn(body);
          tell();
        });
      };

      void poll(base, '/v1/catalog/services?', options, stopping.signal, (body) => {
        const names = new Set(Object.keys(body ?? {}).filter((name) => name.startsWith(SERVICE_PREFIX) && !name.endsWith(PROXY_SUFFIX)));
        for (const [name, { stop }] of following) {
          if (names.has(name)) continue;
          stop();
          following.delete(name);
        }
        for (const name of names) if (!following.has(name)) follow(name);
        tell();
      });
      return () => stopping.abort();
    },
  };
}

function baseUrl(address: string): URL {
  const url = URL.canParse(address) ? new URL(address) : undefined;
  if (url?.protocol === 'http:' || url?.protocol === 'https:') return url;
  throw new InvalidArgumentError('the Consul agent is http://<host>:<port> or https://<host>:<port>', { code: 'INVALID_OPTION', field: 'address' });
}

/** Asks again and again until the signal aborts, and hands over each answer. */
async function poll(base: URL, path: string, options: ConsulOptions, signal: AbortSignal, onAnswer: (body: object) => void): Promise<void> {
  let index = 0;
  let failures = 0;
  let pauseMs = 0;
  while (!signal.aborted) {
    const endsAtMs = systemClock.nowMs() + QUERY_INTERVAL_MIN_MS;
    const waitSeconds = pauseMs > 0 ? WAIT_SECONDS_AFTER_PAUSE : WAIT_SECONDS;
    try {
      const answer = await ask(new URL(`${path}index=${index}&wait=${waitSeconds}s`, base), options, signal);
      pauseMs = Math.max(0, endsAtMs - systemClock.nowMs());
      // An index that goes back comes from a Consul that began anew; with none nothing can be waited for.
      index = answer.index >= index ? answer.index : 0;
      failures = 0;
      if (!signal.aborted) onAnswer(answer.body);
    } catch {
      index = 0;
      pauseMs = QUERY_INTERVAL_MIN_MS + backOffMs(systemClock, Math.min(failures, BACK_OFF_DOUBLINGS_MAX));
      failures += 1;
    }
    if (pauseMs > 0) await sleep(pauseMs, undefined, { signal }).catch(() => {});
  }
}

function ask(url: URL, { token, ca }: ConsulOptions, signal: AbortSignal): Promise<{ body: object; index: number }> {
  return new Promise((resolve, reject) => {
    const request = url.protocol === 'https:' ? httpsRequest : httpRequest;
    const headers = token === undefined ? {} : { 'X-Consul-Token': token };
    const requestOptions: RequestOptions & { ca?: string | Buffer | undefined } = { headers, signal, timeout: SILENCE_MS_MAX, ca };
    const sent = request(url, requestOptions, (response) => {
      readBody(response).then((body) => resolve({ body, index: indexIn(response) }), reject);
    });
    sent.on('timeout', () => sent.destroy(new Error('the agent is silent')));
    sent.on('error', reject);
    sent.end();
  });
}

/** 0 for an answer without a whole number above zero: that asks for no wait. */
function indexIn({ headers }: IncomingMessage): number {
  const index = Number(headers['x-consul-index']);
  return Number.isSafeInteger(index) && index > 0 ? index : 0;
}

async function readBody(response: IncomingMessage): Promise<object> {
  let text = '';
  response.setEncoding('utf8');
  for await (const chunk of response) {
    text += String(chunk);
    if (text.length > BODY_BYTES_MAX) throw new Error('the answer is too long');
  }
  const body: unknown = response.statusCode === 200 ? JSON.parse(text) : undefined;
  if (typeof body !== 'object' || body === null) throw new Error(`the agent answered ${response.statusCode}`);
  return body;
}

interface HealthEntry {
  readonly Node?: { readonly Address?: string };
  readonly Service?: { readonly Address?: string; readonly Port?: number };
}

function addressesIn(body: object): string[] {
  if (!Array.isArray(body)) return [];
  return (body as HealthEntry[]).flatMap(({ Node, Service }) => {
    const host = Service?.Address || Node?.Address;
    return host && Service?.Port ? [addressOf(host, Service.Port)] : [];
  });
}
