package dev.partita.disk;

/// What a disk has done since it was opened.
///
/// @param reads requests to read
/// @param bytesRead bytes they asked for
/// @param writes requests to write, those of zeroes too
/// @param bytesWritten bytes they brought
/// @param flushes flushes completed
/// @param trims requests to trim
/// @param bytesTrimmed bytes they named
/// @param errors requests of any kind that failed
public record DiskCounters(
    long reads,
    long bytesRead,
    long writes,
    long bytesWritten,
    long flushes,
    long trims,
    long bytesTrimmed,
    long errors) {}
