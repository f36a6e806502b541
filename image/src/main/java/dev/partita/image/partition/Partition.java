package dev.partita.image.partition;

/// A partition of a disk.
///
/// @param number as Linux counts it: the entry's place in a GUID partition table; 1 to 4, and from
///     5 on for logical ones, in an MBR; 0 for a disk without a table, as a whole
/// @param offset in bytes
/// @param length in bytes, at least 1
/// @param id by which `root=PARTUUID=` names it; empty if it has none
/// @param name as its table gives it; empty if it has none
public record Partition(int number, long offset, long length, String id, String name) {}
