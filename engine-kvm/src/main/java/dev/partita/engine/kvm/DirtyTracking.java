package dev.partita.engine.kvm;

/// How written pages are found out.
enum DirtyTracking {
  /// By a ring of each processor; by bitmaps where KVM has no rings.
  RINGS,
  BITMAPS
}
