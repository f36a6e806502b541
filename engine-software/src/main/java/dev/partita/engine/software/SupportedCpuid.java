package dev.partita.engine.software;

import dev.partita.hypervisor.CpuidTable;
import dev.partita.hypervisor.CpuidTable.Leaf;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;

/// The processor that this engine is, as CPUID tells it (Intel SDM volume 2, "CPUID"): x86-64-v3
/// and some more, no AVX-512. Fields that depend on the processor (APIC id, topology, OSXSAVE)
/// are 0 here; {@link CpuidInstruction} fills them in, and the frequencies of leaves 0x15 and
/// 0x16.
final class SupportedCpuid {
  /// Family 6, model 0x1C, stepping 10.
  ///
  /// The model is that of the last x86-64 processors that do not speculate. Nor does this one, so
  /// guests rightly leave out their mitigations for speculation; IA32_ARCH_CAPABILITIES tells the
  /// same to guests that look there.
  static final int SIGNATURE = 0x0001_06CA;

  /// State components that XCR0 may enable: x87, SSE and AVX.
  static final long XCR0 = 7;

  /// Leaf 1 EDX: FPU, VME, DE, PSE, TSC, MSR, PAE, MCE, CX8, APIC, SEP, MTRR, PGE, MCA, CMOV, PAT,
  /// PSE-36, CLFSH, MMX, FXSR, SSE, SSE2, SS.
  private static final int FEATURES_EDX =
      0x3FF | 1 << 11 | 1 << 12 | 1 << 13 | 1 << 14 | 1 << 15 | 1 << 16 | 1 << 17 | 1 << 19
          | 1 << 23 | 1 << 24 | 1 << 25 | 1 << 26 | 1 << 27;

  /// Leaf 1 ECX: SSE3, PCLMULQDQ, SSSE3, FMA, CMPXCHG16B, PCID, SSE4.1, SSE4.2, x2APIC, MOVBE,
  /// POPCNT, TSC-deadline, AES, XSAVE, AVX, F16C, RDRAND.
  private static final int FEATURES_ECX =
      1 | 1 << 1 | 1 << 9 | 1 << 12 | 1 << 13 | 1 << 17 | 1 << 19 | 1 << 20 | 1 << 21 | 1 << 22
          | 1 << 23 | 1 << 24 | 1 << 25 | 1 << 26 | 1 << 28 | 1 << 29 | 1 << 30;

  /// Leaf 7 EBX: FSGSBASE, TSC_ADJUST, BMI1, AVX2, x87 data pointer only after exceptions, SMEP,
  /// BMI2, ERMS, INVPCID, no x87 selectors, RDSEED, ADX, SMAP, CLFLUSHOPT, CLWB, SHA.
  private static final int EXTENDED_EBX =
      1 | 1 << 1 | 1 << 3 | 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 9 | 1 << 10 | 1 << 13 | 1 << 18
          | 1 << 19 | 1 << 20 | 1 << 23 | 1 << 24 | 1 << 29;

  /// Leaf 7 ECX: UMIP, VAES, VPCLMULQDQ.
  private static final int EXTENDED_ECX = 1 << 2 | 1 << 9 | 1 << 10;

  /// Leaf 7 EDX: fast short REP MOV, IA32_ARCH_CAPABILITIES.
  private static final int EXTENDED_EDX = 1 << 4 | 1 << 29;

  /// Leaf 0x80000001 ECX: LAHF in 64-bit mode, LZCNT, PREFETCHW.
  private static final int AMD_ECX = 1 | 1 << 5 | 1 << 8;

  /// Leaf 0x80000001 EDX: SYSCALL, NX, 1 GiB pages, RDTSCP, long mode.
  private static final int AMD_EDX = 1 << 11 | 1 << 20 | 1 << 26 | 1 << 27 | 1 << 29;

  private static final String BRAND = "Partita software processor";

  static final CpuidTable TABLE = table();

  private SupportedCpuid() {}

  private static CpuidTable table() {
    var leaves = new ArrayList<Leaf>();
    // "GenuineIntel"
    leaves.add(leaf(0, 0x16, 0x756E_6547, 0x6C65_746E, 0x4965_6E69));
    // EBX 15:8: CLFLUSH line of 64 bytes.
    leaves.add(leaf(1, SIGNATURE, 8 << 8, FEATURES_ECX, FEATURES_EDX));
    // TLB and prefetch descriptors; FF: caches are in leaf 4.
    leaves.add(leaf(2, 0x7603_5A01, 0x00F0_B2FF, 0, 0x00CA_0000));
    leaves.add(leaf(3, 0, 0, 0, 0));
    // Type 1 data, 2 instruction, 3 unified; level; self-initialising.
    leaves.add(cache(0, 1, 1, 8, 64));
    leaves.add(cache(1, 2, 1, 8, 64));
    leaves.add(cache(2, 3, 2, 16, 1024));
    leaves.add(cache(3, 3, 3, 16, 16384));
    leaves.add(leaf(5, 0, 0, 0, 0));
    // ARAT: the APIC timer runs always.
    leaves.add(leaf(6, 1 << 2, 0, 0, 0));
    leaves.add(new Leaf(7, 0, 0, EXTENDED_EBX, EXTENDED_ECX, EXTENDED_EDX));
    // No performance counters.
    leaves.add(leaf(0xA, 0, 0, 0, 0));
    leaves.add(leaf(0xB, 0, 0, 0, 0));
    leaves.add(new Leaf(0xD, 0, (int) XCR0, 0, CpuidInstruction.xsaveSize(XCR0), 0));
    // XSAVEOPT, XSAVEC, XGETBV of XINUSE.
    leaves.add(new Leaf(0xD, 1, 7, 0, 0, 0));
    // The AVX component: size and offset.
    leaves.add(new Leaf(0xD, 2, 256, 576, 0, 0));
    leaves.add(leaf(0x15, 0, 0, 0, 0));
    leaves.add(leaf(0x16, 0, 0, 0, 0));
    leaves.add(leaf(0x8000_0000, 0x8000_0008, 0, 0, 0));
    leaves.add(leaf(0x8000_0001, 0, 0, AMD_ECX, AMD_EDX));
    addBrand(leaves);
    leaves.add(leaf(0x8000_0005, 0, 0, 0, 0));
    // The second-level cache: 1 MiB, 16-way (code 8), lines of 64 bytes.
    leaves.add(leaf(0x8000_0006, 0, 0, 1024 << 16 | 8 << 12 | 64, 0));
    // EDX 8: the TSC runs at one rate always.
    leaves.add(leaf(0x8000_0007, 0, 0, 0, 1 << 8));
    leaves.add(leaf(0x8000_0008, Mmu.PHYSICAL_BITS | 48 << 8, 0, 0, 0));
    return new CpuidTable(List.copyOf(leaves));
  }

  private static Leaf leaf(int function, int eax, int ebx, int ecx, int edx) {
    return new Leaf(function, CpuidTable.ANY_SUBLEAF, eax, ebx, ecx, edx);
  }

  /// Leaf 4: lines of 64 bytes, one partition.
  private static Leaf cache(int subleaf, int type, int level, int ways, int sets) {
    return new Leaf(4, subleaf, type | level << 5 | 1 << 8, 63 | ways - 1 << 22, sets - 1, 0);
  }

  private static void addBrand(List<Leaf> leaves) {
    var bytes = new byte[48];
    var text = BRAND.getBytes(StandardCharsets.US_ASCII);
    System.arraycopy(text, 0, bytes, 0, text.length);
    var words = ByteBuffer.wrap(bytes).order(ByteOrder.LITTLE_ENDIAN);
    for (int i = 0; i < 3; i++) {
      leaves.add(
          leaf(0x8000_0002 + i, words.getInt(), words.getInt(), words.getInt(), words.getInt()));
    }
  }
}
