package dev.partita.engine.kvm;

/// How the pages that processors write are found out.
enum DirtyTracking {
  /// By rings where KVM has them and hardware is under it, otherwise by bitmaps. A KVM that
  /// interprets guest code may let a ring overflow before it stops the processor.
  AUTOMATIC,
  /// By a ring of each processor; by bitmaps where KVM has no rings.
  RINGS,
  /// By bitmaps of all RAM.
  BITMAPS
}
