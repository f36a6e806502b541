/// What the synthetic devices share.
@org.jspecify.annotations.NullMarked
package dev.partita.synthetic.internal;
