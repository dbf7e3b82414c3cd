// Where certificates come from, as servers and channels see it: whoever opens files or asks Consul stands behind this.

/** PEM texts. */
export interface TlsMaterial {
  /** The authorities that the other side must be signed by: while a root is being exchanged, the old one and the new one. */
  readonly ca: string | Buffer;
  /** A certificate, or a chain that starts with it. */
  readonly cert: string | Buffer;
  readonly key: string | Buffer;
}

/** Certificates that are exchanged while the program runs. */
export interface TlsSource {
  /** Always a whole, matching set. */
  current(): TlsMaterial;
  /** Calls after `current` changed. Returns how to stop listening. */
  onRotate(listener: (material: TlsMaterial) => void): () => void;
}

/** A source whose certificates stay. */
export function fixedTls(material: TlsMaterial): TlsSource {
  return { current: () => material, onRotate: () => () => {} };
}
