package dev.partita.engine.software;

import dev.partita.hypervisor.CpuidTable;
import org.jspecify.annotations.Nullable;

/// CPUID: the guest's table, with the fields that depend on the processor and on its state filled
/// in. Intel SDM volume 2, "CPUID".
final class CpuidInstruction extends Operation {
  // Which register of a leaf.
  static final int EAX = 0;
  static final int EBX = 1;
  static final int ECX = 2;
  static final int EDX = 3;

  private static final int HYPERVISOR_FIRST = 0x4000_0000;
  private static final int HYPERVISOR_LAST = 0x4FFF_FFFF;
  private static final int EXTENDED_FIRST = 0x8000_0000;

  /// The core crystal clock of leaf 0x15, which is also the APIC timer's input clock.
  private static final long CRYSTAL_FREQUENCY = 1_000_000_000L;

  /// Largest numerator of leaf 0x15: guests multiply it with the crystal's frequency in kilohertz
  /// in 32 bits.
  private static final long LARGEST_RATIO = 4_000;

  @Override
  void execute(Cpu c) {
    int function = c.get32(Cpu.RAX);
    int subleaf = c.get32(Cpu.RCX);
    var leaf = look(c, function, subleaf);
    c.set32(Cpu.RAX, leaf.eax());
    c.set32(Cpu.RBX, leaf.ebx());
    c.set32(Cpu.RCX, leaf.ecx());
    c.set32(Cpu.RDX, leaf.edx());
  }

  /// What CPUID gives on a processor now.
  static CpuidTable.Leaf look(Cpu c, int function, int subleaf) {
    var table = c.configuration.cpuid();
    var leaf = table.find(function, subleaf);
    int from = function;
    if (leaf == null && !isHypervisor(table, function) && !inRange(table, function)) {
      // Beyond the range: the highest basic leaf (SDM volume 2, "CPUID", "INPUT EAX").
      from = maximum(table, 0);
      leaf = table.find(from, subleaf);
    }
    return complete(c, from, subleaf, leaf);
  }

  private static int maximum(CpuidTable table, int base) {
    var leaf = table.find(base, 0);
    return leaf != null ? leaf.eax() : 0;
  }

  private static boolean inRange(CpuidTable table, int function) {
    int base = function < 0 ? EXTENDED_FIRST : 0;
    return Integer.compareUnsigned(function, maximum(table, base)) <= 0;
  }

  /// Whether a leaf is the hypervisor's to answer, with zeros if it has nothing to say. Guests read
  /// some beyond the highest: Linux takes bits of 0x40000082 without asking whether it is there.
  private static boolean isHypervisor(CpuidTable table, int function) {
    return function >= HYPERVISOR_FIRST
        && function <= HYPERVISOR_LAST
        && table.find(HYPERVISOR_FIRST, 0) != null;
  }

  /// One register of a leaf as the guest's table has it; 0 if the leaf is not there.
  static int feature(Cpu c, int function, int subleaf, int register) {
    return feature(c.configuration.cpuid(), function, subleaf, register);
  }

  static int feature(CpuidTable table, int function, int subleaf, int register) {
    var leaf = table.find(function, subleaf);
    if (leaf == null) {
      return 0;
    }
    return switch (register) {
      case EAX -> leaf.eax();
      case EBX -> leaf.ebx();
      case ECX -> leaf.ecx();
      default -> leaf.edx();
    };
  }

  /// The bits that XSETBV may set.
  static long supportedXcr0(Cpu c) {
    long offered = feature(c, 0xD, 0, EAX) & 0xFFFF_FFFFL | (long) feature(c, 0xD, 0, EDX) << 32;
    return (offered | 1) & SupportedCpuid.XCR0;
  }

  private static CpuidTable.Leaf complete(
      Cpu c, int function, int subleaf, CpuidTable.@Nullable Leaf leaf) {
    int eax = leaf != null ? leaf.eax() : 0;
    int ebx = leaf != null ? leaf.ebx() : 0;
    int ecx = leaf != null ? leaf.ecx() : 0;
    int edx = leaf != null ? leaf.edx() : 0;
    int processors = c.configuration.processorCount();
    int apicId = c.owner.index();
    switch (function) {
      case 1 -> {
        int addressable = processors == 1 ? 0 : 1 << coreBits(processors);
        ebx = ebx & 0xFF00 | Math.min(addressable, 255) << 16 | apicId << 24;
        ecx = (c.cr4 & Cpu.CR4_OSXSAVE) != 0 ? ecx | 1 << 27 : ecx & ~(1 << 27);
        edx = processors > 1 ? edx | 1 << 28 : edx & ~(1 << 28);
        if ((c.apic.apicBase() & 1 << 11) == 0) {
          edx &= ~(1 << 9);
        }
      }
      case 4 -> {
        if ((eax & 0x1F) != 0) {
          int cores = Math.min((1 << coreBits(processors)) - 1, 63);
          // The last level is shared by all, the others by the one thread of a core.
          int sharing = (eax >> 5 & 7) == 3 ? (1 << coreBits(processors)) - 1 : 0;
          eax = eax & 0x3FFF | sharing << 14 | cores << 26;
        }
      }
      case 0xB -> {
        if (leaf != null) {
          ecx = subleaf & 0xFF;
          edx = apicId;
          eax = 0;
          ebx = 0;
          if (subleaf == 0) {
            // Threads of a core.
            ebx = 1;
            ecx |= 1 << 8;
          } else if (subleaf == 1) {
            // Cores of the package.
            eax = coreBits(processors);
            ebx = processors;
            ecx |= 2 << 8;
          }
        }
      }
      case 0xD -> {
        if (leaf != null && subleaf == 0) {
          ebx = xsaveSize(c.xcr0);
        } else if (leaf != null && subleaf == 1 && (eax & 2) != 0) {
          ebx = xsaveSize(c.xcr0);
        }
      }
      case 0x15 -> {
        if (leaf != null && eax == 0) {
          long frequency = c.configuration.tscFrequency();
          long divisor = greatestCommonDivisor(frequency, CRYSTAL_FREQUENCY);
          long numerator = frequency / divisor;
          if (numerator <= LARGEST_RATIO) {
            eax = (int) (CRYSTAL_FREQUENCY / divisor);
            ebx = (int) numerator;
            ecx = (int) CRYSTAL_FREQUENCY;
          } else if (frequency >>> 32 == 0) {
            eax = 1;
            ebx = 1;
            ecx = (int) frequency;
          }
        }
      }
      case 0x16 -> {
        if (leaf != null && eax == 0) {
          int megahertz = (int) Math.min(c.configuration.tscFrequency() / 1_000_000, 0xFFFF);
          eax = megahertz;
          ebx = megahertz;
          ecx = 100;
        }
      }
      default -> {}
    }
    return new CpuidTable.Leaf(function, subleaf, eax, ebx, ecx, edx);
  }

  /// Bits of the APIC id that number the cores of the package.
  private static int coreBits(int processors) {
    return 32 - Integer.numberOfLeadingZeros(processors - 1);
  }

  /// Bytes of the standard XSAVE area for some state components (SDM volume 1, 13.4).
  static int xsaveSize(long components) {
    return (components & 4) != 0 ? 832 : 576;
  }

  private static long greatestCommonDivisor(long a, long b) {
    while (b != 0) {
      long rest = a % b;
      a = b;
      b = rest;
    }
    return a;
  }
}
