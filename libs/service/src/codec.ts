// Takes decoding and encoding out of grpc-js, which answers undecodable bytes by itself, unlogged and without details: its
// methods pass bytes, and the call middleware converts them where refusing, logging and error details have their place.
import type { MethodDefinition, ServiceDefinition, TsProtoServiceDefinition } from 'nice-grpc';

type ByteMethod = MethodDefinition<Uint8Array, Uint8Array, Uint8Array, Uint8Array>;

export interface MethodCodec {
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

function asIs(bytes: Uint8Array): Uint8Array {
  return bytes;
}
