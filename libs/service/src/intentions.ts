// Whether an authority beside us, such as Consul, lets a peer call this service. Asked once a peer, remembered for a second.
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
   *   asked and has never answered about this peer
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
/** Peers whose answers are remembered; beyond it the one that was met first is forgotten. */
const PEERS_MAX = 1_000;

interface Answer {
  allowed: boolean | undefined;
  askAgainAtMs: number;
  asking: Promise<void> | undefined;
}

/**
 * While the authority cannot be asked, the last answer about a peer stays, calls do not wait for the next try, and a try
 * is made once in `INTENTION_CACHE_MS`.
 */
export function createIntentionGate({ intentions, nowMs = () => performance.now(), onOutage, onRecovery }: IntentionGateOptions): IntentionGate {
  const answers = new Map<string, Answer>();
  let isAway = false;

  function answerFor(key: string): Answer {
    const known = answers.get(key);
    if (known !== undefined) return known;
    const made: Answer = { allowed: undefined, askAgainAtMs: -Infinity, asking: undefined };
    answers.set(key, made);
    if (answers.size > PEERS_MAX) answers.delete(answers.keys().next().value!);
    return made;
  }

  async function ask(answer: Answer, { identity, serial }: VerifiedPeer): Promise<void> {
    try {
      answer.allowed = await intentions.isAllowed(identity.uri, serial);
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
      const answer = answerFor(`${peer.identity.uri} ${peer.serial}`);
      if (nowMs() >= answer.askAgainAtMs) answer.asking ??= ask(answer, peer);
      if (answer.asking !== undefined && (answer.allowed === undefined || !isAway)) await answer.asking;
      if (answer.allowed === true) return;
      throw answer.allowed === false ? denied(peer) : unknown();
    },
  };
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
