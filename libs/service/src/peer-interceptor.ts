// Tells nice-grpc who calls. Its context has no certificate, so a grpc-js interceptor reads it and answers `getPeer()`, which
// becomes `context.peer`, with the verified SPIFFE URI (and the certificate's serial number) in place of the network address.
import type { ServerInterceptingCall, ServerInterceptor } from '@grpc/grpc-js';
import { identityFromAltNames } from './identity.ts';
import { formatPeer, shownPeer } from './verified-peer.ts';

type Call = Parameters<ServerInterceptor>[1];

/**
 * An interceptor for the first place in the list. A peer's identity cannot change during its connection, so it is read once
 * for each: reading a certificate costs a quarter of a whole small call. It changes the call that it is given: grpc-js's own way,
 * a second call around the first, passes every event and every answer through several functions more.
 *
 * @param trustDomain The one whose identities count, now.
 * @param onLost Told of calls that end before a whole request was read, since no handler or middleware ever sees those.
 */
export function peerInterceptor(trustDomain: () => string, onLost: (method: string, peer: string) => void): ServerInterceptor {
  const peers = new WeakMap<object, string>();
  return (method, call) => {
    const connection = connectionOf(call);
    let peer = connection === undefined ? undefined : peers.get(connection);
    if (peer === undefined) {
      peer = readPeer(call, trustDomain());
      if (connection !== undefined) peers.set(connection, peer);
    }
    const found = peer;
    call.getPeer = () => found;
    if (!method.requestStream) watchRequest(call, () => onLost(method.path, shownPeer(found)));
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
function readPeer(call: Call, trustDomain: string): string {
  const certificate = call.getAuthContext().sslPeerCertificate;
  if (certificate === undefined) return `${call.getPeer()}: no verified certificate`;
  const identity = identityFromAltNames(certificate.subjectaltname, trustDomain);
  return typeof identity === 'string' ? `${call.getPeer()}: ${identity}` : formatPeer(identity.uri, certificate.serialNumber);
}

/** The HTTP/2 session, which grpc-js keeps in a private field; without it, each call reads the certificate anew. */
function connectionOf(call: Call): object | undefined {
  return (call as unknown as { stream?: { session?: object } }).stream?.session;
}
