// Takes decoding and encoding out of grpc-js, which answers undecodable bytes by itself, unlogged and without details: its
// methods pass bytes, and the call middleware converts them where refusing, logging and error details have their place.
import { Status } from 'nice-grpc-common';
import type { MethodDefinition, ServiceDefinition, TsProtoServiceDefinition } from 'nice-grpc';
import { rpcError } from './errors.ts';

type ByteMethod = MethodDefinition<Uint8Array, Uint8Array, Uint8Array, Uint8Array>;

export interface MethodCodec {
  /** Whether it takes one message and answers with one. */
  isUnary: boolean;
  /** In an implementation: `getAccount` */
  method: string;
  /** `strife.bank.v1.BankService` */
  service: string;
  /** `/strife.bank.v1.BankService/GetAccount` */
  path: string;
  decodeRequest(bytes: Uint8Array): unknown;
  encodeResponse(response: unknown): Uint8Array;
}

/** The same service with bytes for messages, and the codecs of its methods. */
export function byteService(definition: TsProtoServiceDefinition): { definition: ServiceDefinition; codecs: MethodCodec[] } {
  const methods: Record<string, ByteMethod> = {};
  const codecs: MethodCodec[] = [];
  for (const [key, method] of Object.entries(definition.methods)) {
    const path = `/${definition.fullName}/${method.name}`;
    const { requestType, responseType } = method;
    codecs.push({
      isUnary: !method.requestStream && !method.responseStream,
      method: key,
      service: definition.fullName,
      path,
      decodeRequest: (bytes) => requestType.decode(bytes),
      // As nice-grpc does it: handlers may leave fields out.
      encodeResponse: (response) => responseType.encode(responseType.fromPartial?.(response) ?? response).finish(),
    });
    methods[key] = {
      path,
      requestStream: method.requestStream,
      responseStream: method.responseStream,
      requestDeserialize: asIs,
      requestSerialize: asIs,
      responseDeserialize: asIs,
      responseSerialize: asIs,
      options: method.options,
    };
  }
  return { definition: methods, codecs };
}

/** @throws RichServerError INVALID_ARGUMENT `MALFORMED_REQUEST` */
export function decodeRequest(codec: MethodCodec, bytes: Uint8Array): unknown {
  try {
    return codec.decodeRequest(bytes);
  } catch {
    throw rpcError({
      code: Status.INVALID_ARGUMENT,
      message: `request: not a valid message for ${codec.path.slice(1)}`,
      reason: 'MALFORMED_REQUEST',
      field: 'request',
      outcome: 'not_applied',
      retryable: false,
    });
  }
}

function asIs(bytes: Uint8Array): Uint8Array {
  return bytes;
}
