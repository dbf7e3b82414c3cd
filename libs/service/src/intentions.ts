// Whether an authority beside us, such as Consul, lets a peer call this service. Asked once a certificate, remembered for a second.
import { Status } from 'nice-grpc-common';
import { rpcError } from './errors.ts';
import type { VerifiedPeer } from './verified-peer.ts';

/** Says which service may call which. Whoever the access table refuses is not asked about. */
export interface Intentions {
  /**
   * @param serial Of the peer's certificate, in hexadecimal: `0A3F`.
   * @throws anything, when the authority cannot be asked
   */
  isAllowed(peerUri: string, serial: string): Promise<boolean> | boolean;
}

export interface IntentionGate {
  /**
   * @throws RichServerError PERMISSION_DENIED `INTENTION_DENIED`, or UNAVAILABLE `INTENTIONS_UNKNOWN` when the authority cannot be
   *   asked and has never answered about this identity
   */
  admit(peer: VerifiedPeer): Promise<void>;
}

export interface IntentionGateOptions {
  intentions: Intentions;
  /** Steady: it measures, and never shows the time of day. */
  nowMs?: () => number;
  /** Told when the authority cannot be asked any more, and when it can again. */
  onOutage?: (error: unknown) => void;
  onRecovery?: () => void;
}

/** An answer is good for this long, so a change is honoured within it and the time of one question. */
export const INTENTION_CACHE_MS = 1_000;
/** Certificates, and identities, whose answers are remembered; beyond it the one that was met first is forgotten. */
const PEERS_MAX = 1_000;

interface Answer {
  allowed: boolean | undefined;
  askAgainAtMs: number;
  asking: Promise<void> | undefined;
}

/**
 * While the authority cannot be asked, its last answer about a certificate stays, unless it has denied the identity since; calls
 * do not wait for the next try, and a try is made once in `INTENTION_CACHE_MS`. A certificate that it has never answered about
 * waits for its first try and is then taken as the identity's last one was: a renewal right before an outage shuts nobody out.
 * (Consul's answer depends on the identity alone: intentions name services.)
 */
export function createIntentionGate({ intentions, nowMs = () => performance.now(), onOutage, onRecovery }: IntentionGateOptions): IntentionGate {
  const answers = new Map<string, Answer>();
  const lastAnswers = new Map<string, boolean>();
  let isAway = false;

  function answerFor({ identity, serial }: VerifiedPeer): Answer {
    const key = `${identity.uri} ${serial}`;
    const known = answers.get(key);
    if (known !== undefined) return known;
    const made: Answer = { allowed: undefined, askAgainAtMs: -Infinity, asking: undefined };
    remember(answers, key, made);
    return made;
  }

  /** Undefined where nothing is known. */
  function verdict({ allowed }: Answer, { identity }: VerifiedPeer): boolean | undefined {
    const ofIdentity = lastAnswers.get(identity.uri);
    return allowed === undefined || (isAway && ofIdentity === false) ? ofIdentity : allowed;
  }

  async function ask(answer: Answer, { identity, serial }: VerifiedPeer): Promise<void> {
    try {
      answer.allowed = await intentions.isAllowed(identity.uri, serial);
      remember(lastAnswers, identity.uri, answer.allowed);
      if (isAway) onRecovery?.();
      isAway = false;
    } catch (error) {
      if (!isAway) onOutage?.(error);
      isAway = true;
    }
    answer.askAgainAtMs = nowMs() + INTENTION_CACHE_MS;
    answer.asking = undefined;
  }

  return {
    async admit(peer) {
      const answer = answerFor(peer);
      const wasAsked = answer.askAgainAtMs > -Infinity;
      if (nowMs() >= answer.askAgainAtMs) answer.asking ??= ask(answer, peer);
      if (answer.asking !== undefined && !(isAway && wasAsked && verdict(answer, peer) !== undefined)) await answer.asking;
      const allowed = verdict(answer, peer);
      if (allowed === true) return;
      throw allowed === false ? denied(peer) : unknown();
    },
  };
}

function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.set(key, value);
  if (map.size > PEERS_MAX) map.delete(map.keys().next().value!);
}

function denied({ identity }: VerifiedPeer): Error {
  return rpcError({
    code: Status.PERMISSION_DENIED,
    message: `an intention forbids ${identity.role}/${identity.name} to call this service`,
    reason: 'INTENTION_DENIED',
    outcome: 'not_applied',
    retryable: false,
  });
}

function unknown(): Error {
  return rpcError({
    code: Status.UNAVAILABLE,
    message: 'whether you may call this service cannot be found out now',
    reason: 'INTENTIONS_UNKNOWN',
    outcome: 'not_applied',
    retryable: true,
  });
}
