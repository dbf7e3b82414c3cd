// Whose sessions are good here besides our own: the public keys that the other gateways publish in the registry.

import { readPublishedKeys, SESSION_LIFETIME_MS } from '@strife/auth';
import type { VerificationKeys } from '@strife/auth';
import type { Instance } from '@strife/discovery';
import type { Clock } from '@strife/two-phase-commit';

export interface IssuerKeys {
  /**
   * Takes in the full list of gateways. The keys of one that is in it are those that it publishes now, and no others; those of one
   * that has left count for as long as its last session may live. In memory only: after a restart the registry tells again,
   * except of gateways that are gone by then.
   */
  learn(gateways: readonly Instance[]): void;
  of(issuer: string): VerificationKeys | undefined;
}

/** The name under which a gateway signs. */
export function issuerOf(gateway: string): string {
  return `strife-gateway/${gateway}`;
}

export function createIssuerKeys({ self, clock, onUnreadable }: {
  /** This gateway's own name: nobody else's word on its keys counts. */
  readonly self: string;
  readonly clock: Pick<Clock, 'monotonicMs'>;
  /** Told once of each text that is not a set of keys. */
  readonly onUnreadable: (gateway: string) => void;
}): IssuerKeys {
  const byIssuer = new Map<string, { readonly text: string | undefined; readonly keys: VerificationKeys | undefined; leftAtMs?: number | undefined }>();

  function learnOne({ id, meta: { keys: text } }: Instance): void {
    const issuer = issuerOf(id);
    const known = byIssuer.get(issuer);
    if (known !== undefined && known.text === text) {
      known.leftAtMs = undefined;
      return;
    }
    const keys = text === undefined ? undefined : readPublishedKeys(text);
    if (keys === undefined) onUnreadable(id);
    byIssuer.set(issuer, { text, keys });
  }

  return {
    learn(gateways) {
      const others = gateways.filter(({ id }) => id !== self);
      const present = new Set(others.map(({ id }) => issuerOf(id)));
      for (const [issuer, entry] of byIssuer) if (!present.has(issuer)) entry.leftAtMs ??= clock.monotonicMs();
      for (const gateway of others) learnOne(gateway);
    },
    of(issuer) {
      const entry = byIssuer.get(issuer);
      if (entry?.leftAtMs !== undefined && clock.monotonicMs() - entry.leftAtMs >= SESSION_LIFETIME_MS) {
        byIssuer.delete(issuer);
        return undefined;
      }
      return entry?.keys;
    },
  };
}
