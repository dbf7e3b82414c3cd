// The gateways of a client: which of them the next call goes to.

import type { ChannelCredentials } from '@grpc/grpc-js';
import { cancellation, type Budget } from './budget.ts';
import { InvalidArgumentError, UnavailableError, type TlsError } from './errors.ts';
import { gatewayLink, type GatewayLink } from './gateway-link.ts';
import type { TlsOptions } from './gateway-tls.ts';

/** How long one silent gateway keeps a call from the next one. */
const CONNECT_WAIT_MS = 2_000;
/** How long a gateway that has others behind it may take over an answer. More than a payment needs at the slowest. */
const ANSWER_WAIT_MS = 5_000;

/** Gateways in order of preference. Calls stay with the one that works, and leave it when it fails. */
export interface GatewayPool {
  /**
   * A connected gateway; the last one that worked, if it still does.
   *
   * @throws TlsError if every gateway fails for a reason of trust; UnavailableError if none can be reached now, or no time
   *   is left; StrifeError `CANCELLED`. Nothing was sent then.
   */
  connected(budget: Budget): Promise<GatewayLink>;
  /** Call after a failed call: the next one begins with another gateway. */
  leave(link: GatewayLink): void;
  /** How long to wait for an answer before another gateway is asked. */
  answerWaitMs(budget: Budget): number;
  close(): void;
}

export function gatewayPool(addresses: readonly string[], tls: TlsOptions, credentials: ChannelCredentials): GatewayPool {
  if (addresses.length === 0) {
    throw new InvalidArgumentError('at least one gateway is needed', { code: 'NO_GATEWAYS', field: 'gateways' });
  }
  const links = addresses.map((address) => gatewayLink(address, tls, credentials));
  let preferred = 0;
  return {
    async connected(budget) {
      const order = [...links.slice(preferred), ...links.slice(0, preferred)];
      const refusals: TlsError[] = [];
      for (const link of order) {
        const waitMs = links.length === 1 ? budget.remainingMs() : Math.min(CONNECT_WAIT_MS, budget.remainingMs());
        const isConnected = waitMs > 0 && (await link.connect(waitMs, budget.signal));
        if (budget.signal.aborted) throw cancellation(budget.signal);
        if (budget.remainingMs() <= 0) break;
        if (isConnected) {
          preferred = links.indexOf(link);
          return link;
        }
        const refusal = await link.diagnose(Math.min(CONNECT_WAIT_MS, budget.remainingMs()), budget.signal);
        if (refusal) refusals.push(refusal);
      }
      throw unreachable(links, refusals);
    },
    leave(link) {
      if (links[preferred] === link) preferred = (preferred + 1) % links.length;
    },
    answerWaitMs: (budget) =>
      links.length === 1 ? budget.remainingMs() : Math.min(ANSWER_WAIT_MS, budget.remainingMs()),
    close() {
      for (const link of links) link.close();
    },
  };
}

function unreachable(links: readonly GatewayLink[], refusals: readonly TlsError[]): TlsError | UnavailableError {
  const [refusal] = refusals;
  if (refusal && refusals.length === links.length) return refusal;
  return new UnavailableError(`no gateway can be reached: ${links.map((link) => link.address).join(', ')}`, {
    code: 'UNAVAILABLE',
    retryable: true,
    cause: refusal,
  });
}
