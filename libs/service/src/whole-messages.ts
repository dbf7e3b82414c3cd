// For messages of a thousand items: nice-grpc copies every message before it encodes it, so that callers may leave fields out, which costs
// about as much as the encoding.
import type { TsProtoServiceDefinition } from 'nice-grpc';

type Methods<Service extends TsProtoServiceDefinition> = Service['methods'];

/** The same message without the copying. Its type then asks for every field. */
type WholeType<Type> = Omit<Type, 'fromPartial'>;

/** The same service with these methods taking, at clients, and returning, at servers, whole messages only. */
export type WholeMessages<Service extends TsProtoServiceDefinition, Name extends keyof Methods<Service>> = Omit<Service, 'methods'> & {
  methods: Omit<Methods<Service>, Name> & {
    [Each in Name]: Omit<Methods<Service>[Each], 'requestType' | 'responseType'> & {
      requestType: WholeType<Methods<Service>[Each]['requestType']>;
      responseType: WholeType<Methods<Service>[Each]['responseType']>;
    };
  };
};

export function wholeMessages<Service extends TsProtoServiceDefinition, Name extends keyof Methods<Service> & string>(
  definition: Service,
  ...names: readonly Name[]
): WholeMessages<Service, Name> {
  const methods = { ...definition.methods };
  for (const name of names) {
    const method = definition.methods[name]!;
    methods[name] = { ...method, requestType: withoutCopying(method.requestType), responseType: withoutCopying(method.responseType) };
  }
  return { ...definition, methods } as unknown as WholeMessages<Service, Name>;
}

function withoutCopying<Type extends { fromPartial?: unknown }>(type: Type): WholeType<Type> {
  const { fromPartial: _, ...rest } = type;
  return rest;
}
