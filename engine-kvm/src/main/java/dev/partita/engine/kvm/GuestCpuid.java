package dev.partita.engine.kvm;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.partita.engine.kvm.Structures.Cpuid;
import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.CpuidTable.Leaf;
import dev.partita.hypervisor.PartitionConfiguration;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/// The CPUID leaves of a guest's processors: the partition's table, with what depends on the
/// processor filled in (Intel SDM volume 2, "CPUID"). What changes while the guest runs (OSXSAVE,
/// the sizes of leaf 0xD) KVM does itself.
final class GuestCpuid {
  /// KVM_CPUID_FLAG_SIGNIFCANT_INDEX: the leaf is for one sub-leaf only.
  static final int INDEXED = 1;

  /// The input clock of the local APICs' timers in KVM (APIC_BUS_CYCLE_NS is 1 by default).
  static final long APIC_FREQUENCY = 1_000_000_000L;

  // Leaf 1 ECX.
  private static final int TSC_DEADLINE = 1 << 24;
  private static final int OSXSAVE = 1 << 27;
  private static final int HYPERVISOR = 1 << 31;

  /// Leaf 1 EDX: more than one logical processor.
  private static final int HTT = 1 << 28;

  private static final int ADDRESS_SIZES = 0x8000_0008;

  /// AMD's leaf of the extended APIC id (EAX) and the core's number (EBX).
  private static final int AMD_TOPOLOGY = 0x8000_001E;

  private static final int HYPERVISOR_FIRST = 0x4000_0000;
  private static final int HYPERVISOR_LAST = 0x4FFF_FFFF;

  /// Guests multiply leaf 0x15's numerator with the crystal's kilohertz in 32 bits.
  private static final long LARGEST_RATIO = 4_000;

  private GuestCpuid() {}

  /// What KVM offers, as the contract wants it: without a hypervisor's leaves and without what
  /// depends on the processor.
  ///
  /// @param tscDeadline whether KVM has that timer; it does not tell so in its leaves
  static CpuidTable supported(List<Leaf> leaves, boolean tscDeadline) {
    var all = new ArrayList<Leaf>();
    for (var leaf : leaves) {
      if (leaf.function() >= HYPERVISOR_FIRST && leaf.function() <= HYPERVISOR_LAST) {
        continue;
      }
      if (leaf.function() == 1) {
        int ecx = leaf.ecx() & ~(OSXSAVE | HYPERVISOR);
        all.add(
            new Leaf(
                1,
                leaf.subleaf(),
                leaf.eax(),
                leaf.ebx() & 0xFF00,
                tscDeadline ? ecx | TSC_DEADLINE : ecx,
                leaf.edx() & ~HTT));
      } else {
        all.add(leaf);
      }
    }
    return new CpuidTable(all);
  }

  /// The leaves of one processor.
  static List<Leaf> of(PartitionConfiguration configuration, int index) {
    int processors = configuration.processorCount();
    boolean amd = isAmd(configuration.cpuid());
    var all = new ArrayList<Leaf>();
    for (var leaf : configuration.cpuid().leaves()) {
      switch (leaf.function()) {
        case 1 -> all.add(features(leaf, processors, index));
        case 4 -> all.add(cache(leaf, processors));
        case 0xB, 0x1F -> {
          if (leaf.subleaf() <= 0) {
            all.add(topology(leaf.function(), 0, processors, index));
            all.add(topology(leaf.function(), 1, processors, index));
          }
        }
        case 0x15 -> all.add(frequencyRatio(leaf, configuration.tscFrequency()));
        case 0x16 -> all.add(frequencies(leaf, configuration.tscFrequency()));
        case ADDRESS_SIZES -> all.add(amd ? coreCount(leaf, processors) : leaf);
        case AMD_TOPOLOGY -> all.add(new Leaf(AMD_TOPOLOGY, leaf.subleaf(), index, index, 0, 0));
        default -> all.add(leaf);
      }
    }
    return all;
  }

  private static Leaf features(Leaf leaf, int processors, int index) {
    int addressable = processors == 1 ? 0 : 1 << coreBits(processors);
    return new Leaf(
        1,
        leaf.subleaf(),
        leaf.eax(),
        leaf.ebx() & 0xFF00 | Math.min(addressable, 255) << 16 | index << 24,
        leaf.ecx(),
        processors > 1 ? leaf.edx() | HTT : leaf.edx() & ~HTT);
  }

  private static Leaf cache(Leaf leaf, int processors) {
    if ((leaf.eax() & 0x1F) == 0) {
      return leaf;
    }
    int cores = Math.min((1 << coreBits(processors)) - 1, 63);
    // The last level is shared by all, the others by the one thread of a core.
    int sharing = (leaf.eax() >> 5 & 7) == 3 ? (1 << coreBits(processors)) - 1 : 0;
    return new Leaf(
        leaf.function(),
        leaf.subleaf(),
        leaf.eax() & 0x3FFF | sharing << 14 | cores << 26,
        leaf.ebx(),
        leaf.ecx(),
        leaf.edx());
  }

  /// One thread in each core (sub-leaf 0), all cores in one package (sub-leaf 1).
  private static Leaf topology(int function, int subleaf, int processors, int index) {
    return subleaf == 0
        ? new Leaf(function, 0, 0, 1, 1 << 8, index)
        : new Leaf(function, 1, coreBits(processors), processors, 1 | 2 << 8, index);
  }

  private static Leaf frequencyRatio(Leaf leaf, long frequency) {
    long divisor = greatestCommonDivisor(frequency, APIC_FREQUENCY);
    if (leaf.eax() != 0 || frequency / divisor > LARGEST_RATIO) {
      return leaf;
    }
    return new Leaf(
        leaf.function(),
        leaf.subleaf(),
        (int) (APIC_FREQUENCY / divisor),
        (int) (frequency / divisor),
        (int) APIC_FREQUENCY,
        0);
  }

  private static Leaf frequencies(Leaf leaf, long frequency) {
    int megahertz = (int) Math.min(frequency / 1_000_000, 0xFFFF);
    return leaf.eax() != 0
        ? leaf
        : new Leaf(leaf.function(), leaf.subleaf(), megahertz, megahertz, 100, 0);
  }

  /// Whether the processor calls itself AuthenticAMD or HygonGenuine.
  private static boolean isAmd(CpuidTable table) {
    var vendor = table.find(0, 0);
    return vendor != null && (vendor.ebx() == 0x6874_7541 || vendor.ebx() == 0x6F67_7948);
  }

  /// On AMD, ECX of the leaf of address sizes has the number of cores less one in bits 7:0, and the
  /// bits of the APIC id that number them in bits 15:12 (AMD64 Architecture Programmer's Manual,
  /// volume 3, appendix E).
  private static Leaf coreCount(Leaf leaf, int processors) {
    int cores = leaf.ecx() & ~0xF0FF | processors - 1 | coreBits(processors) << 12;
    return new Leaf(leaf.function(), leaf.subleaf(), leaf.eax(), leaf.ebx(), cores, leaf.edx());
  }

  /// Bits of the APIC id that number the cores of the package.
  private static int coreBits(int processors) {
    return 32 - Integer.numberOfLeadingZeros(processors - 1);
  }

  private static long greatestCommonDivisor(long a, long b) {
    while (b != 0) {
      long rest = a % b;
      a = b;
      b = rest;
    }
    return a;
  }

  /// Gives a processor its leaves.
  static void set(KvmDescriptor processor, List<Leaf> leaves) {
    if (leaves.size() > KvmHost.MAXIMUM_LEAVES) {
      throw new KvmException(
          "KVM_SET_CPUID2", 0, leaves.size() + " leaves, but KVM takes " + KvmHost.MAXIMUM_LEAVES);
    }
    try (var arena = Arena.ofConfined()) {
      var buffer = arena.allocate(Cpuid.SIZE + (long) leaves.size() * Cpuid.ENTRY_SIZE, 8);
      buffer.set(JAVA_INT, Cpuid.COUNT, leaves.size());
      for (int i = 0; i < leaves.size(); i++) {
        put(
            buffer.asSlice(Cpuid.SIZE + (long) i * Cpuid.ENTRY_SIZE, Cpuid.ENTRY_SIZE),
            leaves.get(i));
      }
      processor.call(Ioctl.KVM_SET_CPUID2, buffer);
    }
  }

  private static void put(MemorySegment entry, Leaf leaf) {
    boolean indexed = leaf.subleaf() != CpuidTable.ANY_SUBLEAF;
    entry.set(JAVA_INT, Cpuid.ENTRY_FUNCTION, leaf.function());
    entry.set(JAVA_INT, Cpuid.ENTRY_INDEX, indexed ? leaf.subleaf() : 0);
    entry.set(JAVA_INT, Cpuid.ENTRY_FLAGS, indexed ? INDEXED : 0);
    entry.set(JAVA_INT, Cpuid.ENTRY_EAX, leaf.eax());
    entry.set(JAVA_INT, Cpuid.ENTRY_EBX, leaf.ebx());
    entry.set(JAVA_INT, Cpuid.ENTRY_ECX, leaf.ecx());
    entry.set(JAVA_INT, Cpuid.ENTRY_EDX, leaf.edx());
  }
}
