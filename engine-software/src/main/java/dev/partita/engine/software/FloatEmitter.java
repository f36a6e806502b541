package dev.partita.engine.software;

/// Emits floating-point arithmetic.
final class FloatEmitter {
  FloatEmitter(OperandEmitter e, VectorEmitter v) {}
}
