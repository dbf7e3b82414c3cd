// Replaces the signing key when it is old, and keeps the registry's word on our keys up to date: a key signs only after others know it.

import type { KeyRing } from '@strife/auth';
import type { Clock } from '@strife/two-phase-commit';

export interface KeyRotation {
  /** Begins nothing new; resolves when what is under way has ended. */
  close(): Promise<void>;
}

export interface KeyRotationOptions {
  readonly keys: KeyRing;
  /** How old a signing key gets. The key before it must be over first, so that an hour is the least that has an effect. */
  readonly keyLifetimeMs: number;
  /** The keys that the registry tells of now. */
  readonly published: string;
  /** Makes the registry tell of these keys instead. Tried again when it rejects. */
  readonly publish: (keys: string) => Promise<void>;
  readonly clock: Pick<Clock, 'nowMs' | 'after'>;
  readonly logger: { info(message: string, fields: object): void; warn(message: string, fields: object): void };
}

const CHECK_INTERVAL_MS = 500;

export function startKeyRotation({ keys, keyLifetimeMs, published, publish, clock, logger }: KeyRotationOptions): KeyRotation {
  let publishedText = published;
  let isClosed = false;
  let failure: string | undefined;
  let cancelNext = (): void => undefined;
  let running = Promise.resolve();
  keys.notePublished(clock.nowMs());

  async function check(): Promise<void> {
    const { kid } = keys;
    if (clock.nowMs() - keys.signsSinceMs >= keyLifetimeMs && (await keys.rotate())) logger.info('a new signing key waits until all gateways know it', {});
    await keepPublished();
    while (await keys.advance(clock.nowMs())) await keepPublished();
    if (keys.kid !== kid) logger.info('a new key signs', { kid: keys.kid, before: kid });
  }

  async function keepPublished(): Promise<void> {
    const text = keys.published();
    if (text !== publishedText) {
      await publish(text);
      publishedText = text;
    }
    keys.notePublished(clock.nowMs());
  }

  async function checkAndReport(): Promise<void> {
    try {
      await check();
      failure = undefined;
    } catch (error) {
      const message = String(error);
      if (message !== failure) logger.warn('the signing keys cannot be kept up to date: the old one goes on signing', { error });
      failure = message;
    }
    if (!isClosed) cancelNext = clock.after(CHECK_INTERVAL_MS, runCheck);
  }

  function runCheck(): void {
    running = checkAndReport();
  }

  runCheck();
  return {
    async close() {
      isClosed = true;
      cancelNext();
      await running;
    },
  };
}
