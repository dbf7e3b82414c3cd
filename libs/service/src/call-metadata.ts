// nice-grpc's view of grpc-js's metadata, without the copies that nice-grpc makes of it.
import type { Metadata as GrpcMetadata } from '@grpc/grpc-js';
import type { Metadata, MetadataValue } from 'nice-grpc-common';

/** Reads and writes what is behind it. As in nice-grpc, several texts of one key are read as one, with commas. */
export class MetadataView implements Metadata {
  readonly #behind: GrpcMetadata;

  constructor(behind: GrpcMetadata) {
    this.#behind = behind;
  }

  set<Key extends string>(key: Key, value: MetadataValue<Key> | MetadataValue<Key>[]): this {
    this.#behind.remove(key);
    for (const one of Array.isArray(value) ? value : [value]) this.append(key, one);
    return this;
  }

  append<Key extends string>(key: Key, value: MetadataValue<Key>): this {
    this.#behind.add(key, typeof value === 'string' ? value : Buffer.from(value));
    return this;
  }

  delete(key: string): void {
    this.#behind.remove(key);
  }

  get<Key extends string>(key: Key): MetadataValue<Key> | undefined {
    return this.getAll(key)[0];
  }

  getAll<Key extends string>(key: Key): MetadataValue<Key>[] {
    const values = this.#behind.get(key) as MetadataValue<Key>[];
    return values.length <= 1 || key.toLowerCase().endsWith('-bin') ? values : [values.join(', ') as MetadataValue<Key>];
  }

  has(key: string): boolean {
    return this.#behind.get(key).length > 0;
  }

  *[Symbol.iterator](): IterableIterator<[string, (string | Uint8Array)[]]> {
    for (const key of Object.keys(this.#behind.toJSON())) yield [key, this.getAll(key)];
  }
}
