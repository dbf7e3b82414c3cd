// For tests: the published schema of what `--json` prints.

import { readFileSync } from 'node:fs';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';

const FILE = new URL('../../schemas/output-v1.schema.json', import.meta.url);

export const outputSchema = JSON.parse(readFileSync(FILE, 'utf8')) as { readonly oneOf: readonly { readonly $ref: string }[]; readonly $defs: object };

const ajv = new Ajv2020({ strict: true, strictRequired: false, allowUnionTypes: true, allErrors: true });
addFormats.default(ajv);
ajv.addSchema(outputSchema, 'output');
const kinds: readonly (readonly [name: string, validate: ValidateFunction])[] = outputSchema.oneOf.map(({ $ref }) => [$ref.split('/').at(-1)!, ajv.compile({ $ref: `output${$ref}` })]);

/** The kinds of the documents, a line each, such as `balanceDocument`. Throws for what is none, or more than one. */
export function checkDocuments(stdout: string): string[] {
  return stdout.split('\n').filter(Boolean).map((line) => {
    const document: unknown = JSON.parse(line);
    const fitting = kinds.filter(([, validate]) => validate(document)).map(([name]) => name);
    if (fitting.length === 1) return fitting[0]!;
    const near = kinds.filter(([name]) => Object.keys(document as object).some((key) => name === `${key}Document`));
    throw new Error(`this is ${fitting.length} of the documents in the schema: ${line}\n${near.map(([name, { errors }]) => `${name}: ${JSON.stringify(errors)}`).join('\n')}`);
  });
}
