// Tells who calls, and takes unary calls out of nice-grpc's hands. nice-grpc's context has no certificate, so a grpc-js interceptor reads it and answers
// `getPeer()`, which becomes `context.peer`, with the verified SPIFFE URI (and the certificate's serial number) in place of the network address.
import type { ServerInterceptingCall, ServerInterceptor } from '@grpc/grpc-js';
import { identityFromAltNames } from './identity.ts';
import { formatPeer, peerOf, type Peer } from './verified-peer.ts';

type Call = Parameters<ServerInterceptor>[1];

export interface PeerInterceptorOptions {
  /** The one whose identities count, now. */
  readonly trustDomain: () => string;
  /** Given a unary call with its peer: serves it, in place of nice-grpc. False leaves it to nice-grpc. */
  readonly serve: (path: string, call: Call, peer: Peer) => boolean;
  /** Told of calls that end before a whole request was read, since no handler or middleware ever sees those; not of those that `serve` takes. */
  readonly onLost: (method: string, peer: string) => void;
}

/**
 * An interceptor for the first place in the list. A peer's identity cannot change during its connection, so it is read once
 * for each: reading a certificate costs a quarter of a whole small call. It changes the call that it is given: grpc-js's own way,
 * a second call around the first, passes every event and every answer through several functions more.
 */
export function peerInterceptor({ trustDomain, serve, onLost }: PeerInterceptorOptions): ServerInterceptor {
  const peers = new WeakMap<object, Peer>();
  return (method, call) => {
    const connection = connectionOf(call);
    let peer = connection === undefined ? undefined : peers.get(connection);
    if (peer === undefined) {
      peer = readPeer(call, trustDomain());
      if (connection !== undefined) peers.set(connection, peer);
    }
    const found = peer;
    if (!serve(method.path, call, found)) {
      call.getPeer = () => found.text;
      if (!method.requestStream) watchRequest(call, () => onLost(method.path, found.shown));
    }
    // grpc-js's types ask for its class, but it only ever uses the interface.
    return call as ServerInterceptingCall;
  };
}

function watchRequest(call: Call, onLost: () => void): void {
  const start = call.start.bind(call);
  call.start = (listener) => {
    let received = false;
    start({
      onReceiveMetadata: (metadata) => listener.onReceiveMetadata(metadata),
      onReceiveMessage: (message) => {
        received = true;
        listener.onReceiveMessage(message);
      },
      onReceiveHalfClose: () => listener.onReceiveHalfClose(),
      // Called at the end of every call, however it ends.
      onCancel: () => {
        if (!received) onLost();
        listener.onCancel();
      },
    });
  };
}

/** A verified identity; for any other peer its address and what is wrong, which never parses as an identity. */
function readPeer(call: Call, trustDomain: string): Peer {
  const certificate = call.getAuthContext().sslPeerCertificate;
  if (certificate === undefined) return peerOf(`${call.getPeer()}: no verified certificate`);
  const identity = identityFromAltNames(certificate.subjectaltname, trustDomain);
  return peerOf(typeof identity === 'string' ? `${call.getPeer()}: ${identity}` : formatPeer(identity.uri, certificate.serialNumber));
}

/** The HTTP/2 session, which grpc-js keeps in a private field; without it, each call reads the certificate anew. */
function connectionOf(call: Call): object | undefined {
  return (call as unknown as { stream?: { session?: object } }).stream?.session;
}
