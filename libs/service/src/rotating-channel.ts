// A channel whose certificates are exchanged while calls go over it: behind it there is one channel for each certificate.
import { connectivityState, type ChannelInterface, type ChannelOptions, type StatusObject } from '@grpc/grpc-js';
import type { Channel } from 'nice-grpc';
import { createPeerChannel, type ExpectedPeer } from './tls.ts';
import type { TlsSource } from './tls-source.ts';

export interface RotatingChannelOptions {
  /** `host:port` */
  address: string;
  tls: TlsSource;
  expect: ExpectedPeer;
  channelOptions?: ChannelOptions;
  /** Told when new certificates are damaged; the ones before stay in use. */
  onProblem?: (error: Error) => void;
}

/** An old channel whose calls have not ended by then is closed under them. */
export const OLD_CHANNEL_CLOSE_MS = 60_000;

interface Member {
  readonly channel: ChannelInterface;
  calls: number;
  /** Set once new calls go elsewhere. */
  closing: NodeJS.Timeout | undefined;
}

/**
 * A channel as `createPeerChannel` makes, which follows the certificates of its source. After an exchange a second
 * connection is made, and new calls go there as soon as it stands; at once when there was no connection before. Calls that run stay where they are; the
 * old connection is closed when they have ended. So no call fails because certificates were exchanged, and a new certificate that the other side
 * does not take yet does no harm while the old connection lasts.
 *
 * @throws when the source's certificates are damaged
 */
export function createRotatingChannel({ address, tls, expect, channelOptions, onProblem = () => {} }: RotatingChannelOptions): Channel {
  const open = (): Member => {
    const channel = createPeerChannel({ address, tls: tls.current(), expect, ...(channelOptions && { channelOptions }) });
    return { channel, calls: 0, closing: undefined };
  };
  const retired = new Set<Member>();
  let current = open();
  /** Connects, to take the place of `current`. */
  let next: Member | undefined;

  const unfollow = tls.onRotate(() => {
    next?.channel.close();
    next = undefined;
    try {
      const candidate = open();
      next = candidate;
      candidate.channel.getConnectivityState(true);
      watch(candidate, candidate);
      watch(current, candidate);
      takeOver(candidate);
    } catch (error) {
      onProblem(error as Error);
    }
  });

  /** Looks again whenever the state changes, for as long as the candidate waits. */
  function watch(watched: Member, candidate: Member): void {
    if (next !== candidate) return;
    const state = watched.channel.getConnectivityState(false);
    watched.channel.watchConnectivityState(state, Infinity, () => {
      takeOver(candidate);
      watch(watched, candidate);
    });
  }

  function takeOver(candidate: Member): void {
    if (next !== candidate) return;
    if (!isReady(candidate) && isReady(current)) {
      // A channel that lost its connection waits to be asked.
      candidate.channel.getConnectivityState(true);
      return;
    }
    const old = current;
    current = candidate;
    next = undefined;
    retired.add(old);
    old.closing = setTimeout(() => retire(old), OLD_CHANNEL_CLOSE_MS).unref();
    if (old.calls === 0) retire(old);
  }

  /** Closes an old channel, and only once. */
  function retire(member: Member): void {
    if (!retired.delete(member)) return;
    clearTimeout(member.closing);
    member.channel.close();
  }

  const channel: ChannelInterface = {
    createCall(...call) {
      const member = current;
      const made = member.channel.createCall(...call);
      member.calls += 1;
      return onEnd(made, () => {
        member.calls -= 1;
        if (member.calls === 0) retire(member);
      });
    },
    close() {
      unfollow();
      next?.channel.close();
      next = undefined;
      current.channel.close();
      for (const member of retired) retire(member);
    },
    getTarget: () => current.channel.getTarget(),
    getConnectivityState: (tryToConnect) => current.channel.getConnectivityState(tryToConnect),
    watchConnectivityState: (...watched) => current.channel.watchConnectivityState(...watched),
    getChannelzRef: () => current.channel.getChannelzRef(),
  };
  // nice-grpc's types ask for grpc-js's class, but both only ever use the interface.
  return channel as Channel;
}

function isReady({ channel }: Member): boolean {
  return channel.getConnectivityState(false) === connectivityState.READY;
}

type Call = ReturnType<ChannelInterface['createCall']>;

/** The same call, which tells once when its final status is known. */
function onEnd(call: Call, ended: () => void): Call {
  const start = call.start.bind(call);
  call.start = (metadata, listener) => {
    start(metadata, {
      onReceiveMetadata: (received) => listener.onReceiveMetadata(received),
      onReceiveMessage: (message) => listener.onReceiveMessage(message),
      onReceiveStatus: (status: StatusObject) => {
        ended();
        listener.onReceiveStatus(status);
      },
    });
  };
  return call;
}
