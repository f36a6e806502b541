package dev.partita.chipset.boot;

import java.lang.foreign.MemorySegment;
import java.util.List;

/// What a kernel is booted with.
///
/// @param commandLine its command line; without zero characters
/// @param initrd its initial RAM disk, of size 0 if there is none
/// @param rsdpAddress guest-physical address of the ACPI Root System Description Pointer, 0 if
///     there is none
/// @param randomSeed random bytes for the kernel's generator, so that it need not wait for
///     entropy; up to 512, empty for none. Only Linux takes it.
/// @param reserved areas of memory the kernel must leave alone, those below 1 MiB left out
public record BootOptions(
    String commandLine,
    MemorySegment initrd,
    long rsdpAddress,
    byte[] randomSeed,
    List<MemoryMap.Area> reserved) {
  private static final int LONGEST_SEED = 512;

  public BootOptions {
    if (commandLine.indexOf(0) >= 0) {
      throw new BootException("the command line holds a zero character");
    }
    if (randomSeed.length > LONGEST_SEED) {
      throw new BootException("a random seed of %d bytes".formatted(randomSeed.length));
    }
    reserved = List.copyOf(reserved);
  }

  /// Only a command line.
  public static BootOptions of(String commandLine) {
    return new BootOptions(commandLine, MemorySegment.NULL, 0, new byte[0], List.of());
  }

  public BootOptions withInitrd(MemorySegment disk) {
    return new BootOptions(commandLine, disk, rsdpAddress, randomSeed, reserved);
  }

  public BootOptions withRsdp(long address) {
    return new BootOptions(commandLine, initrd, address, randomSeed, reserved);
  }

  public BootOptions withRandomSeed(byte[] seed) {
    return new BootOptions(commandLine, initrd, rsdpAddress, seed, reserved);
  }
}
