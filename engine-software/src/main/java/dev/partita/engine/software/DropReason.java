package dev.partita.engine.software;

/// Why a region is given up.
enum DropReason {
  /// A processor of the guest wrote over its code.
  WRITTEN_BY_PROCESSOR("code written by processor"),

  /// A device or the loader did.
  WRITTEN_BY_DEVICE("code written by device"),

  /// The code changed while it was decoded, or while the region was made.
  WRITTEN_MEANWHILE("code written while translated"),

  /// An instruction reaches into a page that is mapped elsewhere now.
  PAGE_MOVED("page mapped elsewhere"),

  /// The optimizing compiler's took its place.
  REPLACED("replaced by optimized"),

  /// There are too many: it was the oldest.
  EVICTED("too many regions");

  /// For operators.
  final String words;

  DropReason(String words) {
    this.words = words;
  }
}
