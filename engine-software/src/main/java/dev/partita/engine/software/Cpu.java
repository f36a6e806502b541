package dev.partita.engine.software;

import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.LocalApic;
import dev.partita.hypervisor.PartitionConfiguration;
import java.security.SecureRandom;
import java.util.random.RandomGenerator;
import org.jspecify.annotations.Nullable;

/// The architectural state of one x86-64 processor, and what operations need at every turn: flags,
/// memory,
/// faults. Used only by the processor's own thread while it runs.
///
/// Arithmetic flags are lazy: two longs hold what they follow from.
///
/// - {@link #flagResult}: the last result, sign-extended to 64 bits. ZF = it is 0, SF = its sign,
/// PF =
///   parity of its low byte.
/// - {@link #flagCarry}: bit 63 = CF; bit 62 xor bit 63 = OF; bit 3 = AF; bit 0 flips SF; bits 15:8
/// are
///   xored into the low byte for PF. All other bits are 0. For an addition, bits 63, 62 and 3 come
/// straight
///   out of the vector of carries `(a & b) | ((a | b) & ~r)`, shifted up so that the operand's top
/// bit is
///   bit 63 (bit 3 stays in place): no branch, no case by size, in any tier.
///
/// Bits 0 and 15:8 serve flags that no result has, as after POPF.
final class Cpu {
  /// Index in {@link #r} of the register that always reads 0.
  static final int ZERO = 16;

  /// Index in {@link #r} of the RIP at the start of the running block.
  static final int RIP_BASE = 17;

  static final int RAX = 0;
  static final int RCX = 1;
  static final int RDX = 2;
  static final int RBX = 3;
  static final int RSP = 4;
  static final int RBP = 5;
  static final int RSI = 6;
  static final int RDI = 7;

  static final int ES = 0;
  static final int CS = 1;
  static final int SS = 2;
  static final int DS = 3;
  static final int FS = 4;
  static final int GS = 5;

  /// Index in {@link #segmentBase} of a base that is 0.
  static final int NO_SEGMENT = 6;

  // RFLAGS bits: Intel SDM volume 1, 3.4.3.
  static final int CF = 1;
  static final int PF = 1 << 2;
  static final int AF = 1 << 4;
  static final int ZF = 1 << 6;
  static final int SF = 1 << 7;
  static final int TF = 1 << 8;
  static final int IF = 1 << 9;
  static final int DF = 1 << 10;
  static final int OF = 1 << 11;
  static final int IOPL = 3 << 12;
  static final int NT = 1 << 14;
  static final int RF = 1 << 16;
  static final int VM = 1 << 17;
  static final int AC = 1 << 18;
  static final int VIF = 1 << 19;
  static final int VIP = 1 << 20;
  static final int ID = 1 << 21;
  static final int ARITHMETIC = CF | PF | AF | ZF | SF | OF;

  // Control register and EFER bits: Intel SDM volume 3, 2.5 and 2.2.1.
  static final long CR0_PE = 1;
  static final long CR0_MP = 1 << 1;
  static final long CR0_EM = 1 << 2;
  static final long CR0_TS = 1 << 3;
  static final long CR0_ET = 1 << 4;
  static final long CR0_NE = 1 << 5;
  static final long CR0_WP = 1 << 16;
  static final long CR0_AM = 1 << 18;
  static final long CR0_NW = 1 << 29;
  static final long CR0_CD = 1 << 30;
  static final long CR0_PG = 1L << 31;
  static final long CR4_VME = 1;
  static final long CR4_PVI = 1 << 1;
  static final long CR4_TSD = 1 << 2;
  static final long CR4_DE = 1 << 3;
  static final long CR4_PSE = 1 << 4;
  static final long CR4_PAE = 1 << 5;
  static final long CR4_MCE = 1 << 6;
  static final long CR4_PGE = 1 << 7;
  static final long CR4_PCE = 1 << 8;
  static final long CR4_OSFXSR = 1 << 9;
  static final long CR4_OSXMMEXCPT = 1 << 10;
  static final long CR4_UMIP = 1 << 11;
  static final long CR4_FSGSBASE = 1 << 16;
  static final long CR4_PCIDE = 1 << 17;
  static final long CR4_OSXSAVE = 1 << 18;
  static final long CR4_SMEP = 1 << 20;
  static final long CR4_SMAP = 1 << 21;
  static final long EFER_SCE = 1;
  static final long EFER_LME = 1 << 8;
  static final long EFER_LMA = 1 << 10;
  static final long EFER_NXE = 1 << 11;

  /// XCR0 bits that make AVX usable: SSE and AVX state.
  static final long XCR0_AVX = 6;

  /// {@link #mode} bits 1:0: what size of code runs.
  static final int MODE_16 = 0;

  static final int MODE_32 = 1;
  static final int MODE_64 = 2;
  static final int MODE_SIZE_MASK = 3;

  /// {@link #mode} bit: privilege level 3.
  static final int MODE_USER = 4;

  /// {@link #mode} bit of a block that holds one instruction only.
  static final int MODE_SINGLE = 8;

  /// General registers, then {@link #ZERO} and {@link #RIP_BASE}.
  final long[] r = new long[18];

  /// RIP of the next instruction, between blocks.
  long rip;

  long flagResult = 0x100;
  long flagCarry;

  /// RFLAGS but for the six arithmetic flags and bit 1. {@link #setFlags} and its like keep what
  /// depends on
  /// it; DF, ID, NT may be changed directly.
  int systemFlags;

  // Segment registers, hidden parts included. Attributes as in ProcessorState.Segment.
  final int[] segmentSelector = new int[6];
  final long[] segmentBase = new long[7];

  /// Last valid offset, unsigned, granularity applied.
  final int[] segmentLimit = new int[6];

  final int[] segmentAttributes = new int[6];

  int ldtrSelector;
  long ldtrBase;
  int ldtrLimit;
  int ldtrAttributes;
  int trSelector;
  long trBase;
  int trLimit;
  int trAttributes;
  long gdtrBase;
  int gdtrLimit;
  long idtrBase;
  int idtrLimit;

  long cr0;
  long cr2;
  long cr3;
  long cr4;
  long efer;
  long xcr0 = 1;
  final long[] debug = new long[8];

  /// Current privilege level, 0 to 3.
  int cpl;

  /// How code is decoded and fetched now: {@link #MODE_16} and so on, {@link #MODE_USER}. Kept by
  /// {@link
  /// #modeChanged()}.
  int mode;

  /// The XMM and YMM registers: register n is at 4 n: bits 63:0, 127:64, 191:128, 255:192. Beyond
  /// them is room for what {@link YmmOperation} works with.
  final long[] xmm = new long[YmmOperation.STATE_SIZE];

  int mxcsr = 0x1F80;

  /// x87 and MMX state.
  final X87 x87 = new X87();

  /// MSRs without a field of their own, and their rules.
  final ModelSpecificRegisters msrs = new ModelSpecificRegisters();

  /// One instruction after STI or MOV SS: no interrupt (and for MOV SS no debug trap) before it.
  boolean interruptShadow;

  /// HLT was executed; the loop waits.
  boolean halted;

  boolean nmiMasked;

  /// The instruction before was MOV SS or POP SS: no debug exception at this one's start, and no
  /// single-step trap after that one.
  boolean debugShadow;

  /// The instruction that just ran took care of TF itself: no single-step trap after it.
  boolean stepTrapCancelled;

  /// A single-step trap is due before the next instruction: SYSRET set TF.
  boolean trapPending;

  // What a restored state had pending, delivered when the processor begins to run; -1 for none.
  int pendingException = -1;

  int pendingErrorCode = -1;
  int pendingInterrupt = -1;

  /// What RDRAND and RDSEED draw from; may be set before the first use to have known numbers.
  @Nullable RandomGenerator entropy;

  /// Where a {@link RegionCode} is to begin: an index in {@link Region#entries}.
  int regionEntry;

  /// What a {@link RegionCode} leaves: the instructions left of its budget.
  int regionBudget;

  /// Where a {@link RegionCode} left: an index in its region's tables of sites.
  int regionSite;

  /// A {@link Region} was left before an instruction that is to be interpreted.
  boolean regionMissed;

  /// 0 always. Volatile, so that no compiler reads it early: see {@link OperandEmitter#insist}.
  volatile int never;

  /// What a {@link RegionCode} met, to be thrown.
  @Nullable Throwable regionThrown;

  /// The address translation; knows about paging, RAM and MMIO.
  final Mmu mmu;

  /// Tables of the current privilege; kept by {@link Mmu#select}.
  long[] readTlb;

  long[] writeTlb;

  /// The virtual processor this belongs to: interrupts, intercepts, time.
  final SoftwareProcessor owner;

  final LocalApic apic;
  final PartitionConfiguration configuration;

  /// The bits of CR4 that may be set.
  final long supportedCr4;

  final GuestFault fault = new GuestFault();

  // One of each intercept, used again and again.
  final Intercept.PortRead portRead = new Intercept.PortRead();
  final Intercept.PortWrite portWrite = new Intercept.PortWrite();
  final Intercept.MmioRead mmioRead = new Intercept.MmioRead();
  final Intercept.MmioWrite mmioWrite = new Intercept.MmioWrite();
  final Intercept.MsrRead msrRead = new Intercept.MsrRead();
  final Intercept.MsrWrite msrWrite = new Intercept.MsrWrite();

  Cpu(SoftwareProcessor owner, SoftwarePartition partition, LocalApic apic) {
    this.owner = owner;
    this.apic = apic;
    this.configuration = partition.configuration();
    this.supportedCr4 = ControlRegisters.supportedCr4(configuration.cpuid());
    this.mmu = new Mmu(this, partition);
    this.readTlb = mmu.current().read;
    this.writeTlb = mmu.current().write;
  }

  // ---- Mode
  // -----------------------------------------------------------------------------------------

  boolean is64() {
    return (mode & MODE_SIZE_MASK) == MODE_64;
  }

  boolean longMode() {
    return (efer & EFER_LMA) != 0;
  }

  boolean protectedMode() {
    return (cr0 & CR0_PE) != 0;
  }

  boolean virtual8086() {
    return (systemFlags & VM) != 0;
  }

  /// To be called after any change of CS, CPL, CR0, CR4, EFER, or the VM and AC flags.
  void modeChanged() {
    int size;
    int cs = segmentAttributes[CS];
    if (longMode() && (cs & 1 << 13) != 0) {
      size = MODE_64;
    } else {
      size = (cs & 1 << 14) != 0 ? MODE_32 : MODE_16;
    }
    mode = size | (cpl == 3 ? MODE_USER : 0);
    mmu.select();
  }

  /// A code address as RIP takes it: 64 bits in 64-bit mode, else 32. That goes for 16-bit code
  /// too, which runs on past offset 0xFFFF, into its segment's limit; only its branches wrap.
  long ripMasked(long address) {
    return is64() ? address : address & 0xFFFF_FFFFL;
  }

  static boolean canonical(long address) {
    return address << 16 >> 16 == address;
  }

  /// When a step of the interpreter that stands for several operations throws: which one did; else
  /// null.
  @Nullable Operation within;

  // ---- Faults
  // ---------------------------------------------------------------------------------------

  /// `throw c.raise(...)`: an exception with an error code.
  GuestFault raise(int vector, int errorCode) {
    fault.vector = vector;
    fault.errorCode = errorCode;
    return fault;
  }

  GuestFault raise(int vector) {
    return raise(vector, GuestFault.NO_ERROR_CODE);
  }

  GuestFault invalidOpcode() {
    return raise(GuestFault.INVALID_OPCODE);
  }

  GuestFault generalProtection(int errorCode) {
    return raise(GuestFault.GENERAL_PROTECTION, errorCode);
  }

  GuestFault pageFault(long address, int errorCode) {
    fault.address = address;
    return raise(GuestFault.PAGE_FAULT, errorCode);
  }

  // ---- Flags
  // ----------------------------------------------------------------------------------------

  boolean cf() {
    return flagCarry < 0;
  }

  /// CF as 0 or 1.
  int carryBit() {
    return (int) (flagCarry >>> 63);
  }

  boolean zf() {
    return flagResult == 0;
  }

  boolean sf() {
    return (flagResult ^ flagCarry << 63) < 0;
  }

  boolean of() {
    return (flagCarry ^ flagCarry << 1) < 0;
  }

  boolean af() {
    return (flagCarry & 8) != 0;
  }

  boolean pf() {
    int b = (int) (flagResult ^ flagCarry >>> 8) & 0xFF;
    return (Integer.bitCount(b) & 1) == 0;
  }

  /// The six arithmetic flags in RFLAGS' places.
  int arithmeticFlags() {
    int f = carryBit();
    if (pf()) {
      f |= PF;
    }
    if (af()) {
      f |= AF;
    }
    if (zf()) {
      f |= ZF;
    }
    if (sf()) {
      f |= SF;
    }
    if (of()) {
      f |= OF;
    }
    return f;
  }

  /// Sets the six arithmetic flags from RFLAGS' places; other bits are ignored.
  void setArithmeticFlags(int f) {
    long result = (f & ZF) != 0 ? 0 : 0x100;
    long carry = 0;
    if ((f & CF) != 0) {
      carry |= 1L << 63;
    }
    if (((f & CF) != 0) != ((f & OF) != 0)) {
      carry |= 1L << 62;
    }
    if ((f & AF) != 0) {
      carry |= 8;
    }
    if ((f & SF) != 0) {
      carry |= 1;
    }
    if ((f & PF) == 0) {
      carry |= 1 << 8;
    }
    flagResult = result;
    flagCarry = carry;
  }

  /// Sets only CF; the others stay.
  void setCarry(boolean carry) {
    long c = flagCarry;
    if (carry != c < 0) {
      // OF is the xor of the two top bits: flip both.
      flagCarry = c ^ 3L << 62;
    }
  }

  /// Flags of `r = a + b` (and carry in), 64 bits.
  void addFlags64(long a, long b, long r) {
    flagResult = r;
    flagCarry = FlagCarry.add64(a, b, r);
  }

  /// Flags of `r = a - b` (and borrow in), 64 bits.
  void subFlags64(long a, long b, long r) {
    flagResult = r;
    flagCarry = FlagCarry.sub64(a, b, r);
  }

  /// Flags of `r = a + b` (and carry in), 32 bits.
  void addFlags32(int a, int b, int r) {
    flagResult = r;
    flagCarry = FlagCarry.add32(a, b, r);
  }

  /// Flags of `r = a - b` (and borrow in), 32 bits.
  void subFlags32(int a, int b, int r) {
    flagResult = r;
    flagCarry = FlagCarry.sub32(a, b, r);
  }

  /// Flags of `r = a + b` (and carry in) for 8 or 16 bits.
  ///
  /// @param shift 64 minus the operand's size in bits
  void addFlagsSmall(int a, int b, int r, int shift) {
    flagResult = (long) r << shift >> shift;
    flagCarry = FlagCarry.addSmall(a, b, r, shift);
  }

  /// Flags of `r = a - b` (and borrow in) for 8 or 16 bits.
  ///
  /// @param shift 64 minus the operand's size in bits
  void subFlagsSmall(int a, int b, int r, int shift) {
    flagResult = (long) r << shift >> shift;
    flagCarry = FlagCarry.subSmall(a, b, r, shift);
  }

  /// Flags of AND, OR, XOR, TEST: CF, OF and AF clear.
  ///
  /// @param result sign-extended to 64 bits
  void logicFlags(long result) {
    flagResult = result;
    flagCarry = 0;
  }

  /// All of RFLAGS.
  long flags() {
    return (systemFlags | arithmeticFlags() | 2) & 0xFFFF_FFFFL;
  }

  /// Replaces all of RFLAGS, with no check of privilege. Tells the mode and the interrupt logic
  /// what
  /// changed.
  void setFlags(long value) {
    setArithmeticFlags((int) value);
    int changed = systemFlags;
    systemFlags = (int) value & ~(ARITHMETIC | 2) & 0x3F_7FD5;
    changed ^= systemFlags;
    if ((changed & (VM | AC)) != 0) {
      modeChanged();
    }
    if ((changed & (IF | TF)) != 0) {
      owner.flagsChanged();
    }
  }

  /// Sets or clears IF.
  void setInterruptFlag(boolean on) {
    if (on) {
      systemFlags |= IF;
      owner.flagsChanged();
    } else {
      systemFlags &= ~IF;
    }
  }

  /// DF as a step: 1 or -1.
  int direction() {
    return (systemFlags & DF) == 0 ? 1 : -1;
  }

  // ---- Registers
  // ------------------------------------------------------------------------------------

  /// An 8-bit register by number: 0 to 15 the low bytes, 16 to 19 AH, CH, DH, BH.
  int get8(int register) {
    return register < 16 ? (int) r[register] & 0xFF : (int) (r[register & 3] >>> 8) & 0xFF;
  }

  void set8(int register, int value) {
    if (register < 16) {
      r[register] = (r[register] & ~0xFFL) | (value & 0xFF);
    } else {
      int i = register & 3;
      r[i] = (r[i] & ~0xFF00L) | (value & 0xFF) << 8;
    }
  }

  int get16(int register) {
    return (int) r[register] & 0xFFFF;
  }

  void set16(int register, int value) {
    r[register] = (r[register] & ~0xFFFFL) | (value & 0xFFFF);
  }

  int get32(int register) {
    return (int) r[register];
  }

  /// Writes 32 bits; the upper half becomes 0.
  void set32(int register, int value) {
    r[register] = value & 0xFFFF_FFFFL;
  }

  // ---- Memory: linear addresses
  // ---------------------------------------------------------------------
  // The fast path is a hit in the table; all else (miss, MMIO, page crossing, code, dirty log) is
  // the MMU's.

  int load8(long address) {
    long[] t = readTlb;
    int i = Tlb.slot(address);
    return t[i] == (address & Tlb.PAGE_MASK)
        ? Raw.getByte(address + t[i + 1])
        : (int) mmu.load(address, 1);
  }

  int load16(long address) {
    long[] t = readTlb;
    int i = Tlb.slot(address);
    return t[i] == (address + 1 & Tlb.PAGE_MASK)
        ? Raw.getShort(address + t[i + 1])
        : (int) mmu.load(address, 2);
  }

  int load32(long address) {
    long[] t = readTlb;
    int i = Tlb.slot(address);
    return t[i] == (address + 3 & Tlb.PAGE_MASK)
        ? Raw.getInt(address + t[i + 1])
        : (int) mmu.load(address, 4);
  }

  long load64(long address) {
    long[] t = readTlb;
    int i = Tlb.slot(address);
    return t[i] == (address + 7 & Tlb.PAGE_MASK)
        ? Raw.getLong(address + t[i + 1])
        : mmu.load(address, 8);
  }

  void store8(long address, int value) {
    long[] t = writeTlb;
    int i = Tlb.slot(address);
    if (t[i] == (address & Tlb.PAGE_MASK)) {
      Raw.setByte(address + t[i + 1], value);
    } else {
      mmu.store(address, 1, value);
    }
  }

  void store16(long address, int value) {
    long[] t = writeTlb;
    int i = Tlb.slot(address);
    if (t[i] == (address + 1 & Tlb.PAGE_MASK)) {
      Raw.setShort(address + t[i + 1], value);
    } else {
      mmu.store(address, 2, value);
    }
  }

  void store32(long address, int value) {
    long[] t = writeTlb;
    int i = Tlb.slot(address);
    if (t[i] == (address + 3 & Tlb.PAGE_MASK)) {
      Raw.setInt(address + t[i + 1], value);
    } else {
      mmu.store(address, 4, value);
    }
  }

  void store64(long address, long value) {
    long[] t = writeTlb;
    int i = Tlb.slot(address);
    if (t[i] == (address + 7 & Tlb.PAGE_MASK)) {
      Raw.setLong(address + t[i + 1], value);
    } else {
      mmu.store(address, 8, value);
    }
  }

  /// Loads for a read-modify-write that is not locked: faults as a write would, so that the store
  /// that
  /// follows cannot fault, and the instruction may change flags in between. Sizes 1, 2, 4, 8; the
  /// result is
  /// zero-extended.
  long loadForUpdate(long address, int size) {
    long[] t = writeTlb;
    int i = Tlb.slot(address);
    if (t[i] != (address + size - 1 & Tlb.PAGE_MASK)) {
      mmu.probeWrite(address, size);
    }
    return switch (size) {
      case 1 -> load8(address);
      case 2 -> load16(address);
      case 4 -> load32(address) & 0xFFFF_FFFFL;
      default -> load64(address);
    };
  }

  /// Atomic compare-and-exchange, as LOCK CMPXCHG: the base of every locked operation.
  ///
  /// @param size 1, 2, 4 or 8 bytes
  /// @param expected zero-extended
  /// @return what was there before, zero-extended; the exchange happened if it equals `expected`
  long compareExchange(long address, int size, long expected, long value) {
    return mmu.compareExchange(address, size, expected, value);
  }

  /// Atomic compare-and-exchange of 16 bytes.
  ///
  /// @param address must be 16-byte aligned (the caller checked)
  /// @return true if it was exchanged; else {@link Mmu#oldLow} and {@link Mmu#oldHigh} hold what
  /// was there
  boolean compareExchange128(long address, long expectLow, long expectHigh, long low, long high) {
    return mmu.compareExchange128(address, expectLow, expectHigh, low, high);
  }

  /// The same, but another processor may come between: CMPXCHG16B without LOCK. Linux allocates
  /// memory that way, from lists that belong to one processor.
  boolean exchange128(long address, long expectLow, long expectHigh, long low, long high) {
    return mmu.exchange128(address, expectLow, expectHigh, low, high);
  }

  /// What RDRAND and RDSEED draw from: the host's generator if no other was set. Does not block.
  RandomGenerator random() {
    var g = entropy;
    if (g == null) {
      g = new SecureRandom();
      entropy = g;
    }
    return g;
  }

  // ---- Segmentation outside 64-bit mode
  // -------------------------------------------------------------

  /// Checks limit, presence and rights of a data access through a segment outside 64-bit mode. In
  /// 64-bit
  /// mode, only for a segment of the instruction's own (never called).
  void checkSegment(int segment, long offset, int size, boolean write) {
    if (segment == NO_SEGMENT) {
      return;
    }
    int attributes = segmentAttributes[segment];
    int vector = segment == SS ? GuestFault.STACK_FAULT : GuestFault.GENERAL_PROTECTION;
    if (protectedMode() && !virtual8086()) {
      if ((attributes & 1 << 16) != 0) {
        throw raise(vector, 0);
      }
      boolean code = (attributes & 8) != 0;
      boolean readWrite = (attributes & 2) != 0;
      if (write ? code || !readWrite : code && !readWrite) {
        throw raise(vector, 0);
      }
    }
    long limit = segmentLimit[segment] & 0xFFFF_FFFFL;
    long last = offset + size - 1;
    boolean expandDown = (attributes & 0xC) == 4 && (attributes & 1 << 4) != 0;
    boolean outside;
    if (expandDown) {
      long top = (attributes & 1 << 14) != 0 ? 0xFFFF_FFFFL : 0xFFFF;
      outside = offset <= limit || last > top;
    } else {
      outside = last > limit;
    }
    if (outside) {
      throw raise(vector, 0);
    }
  }

  // ---- Stack
  // ----------------------------------------------------------------------------------------

  /// Mask of the stack pointer outside 64-bit mode: SS.B chooses 32 or 16 bits.
  long stackMask() {
    if (is64()) {
      return -1L;
    }
    return (segmentAttributes[SS] & 1 << 14) != 0 ? 0xFFFF_FFFFL : 0xFFFF;
  }

  /// The linear address of a stack access at an offset from the segment's base.
  long stackAddress(long offset, int size, boolean write) {
    if (is64()) {
      if (!canonical(offset)) {
        throw raise(GuestFault.STACK_FAULT, 0);
      }
      return offset;
    }
    checkSegment(SS, offset, size, write);
    return offset + segmentBase[SS] & 0xFFFF_FFFFL;
  }

  /// Changes the stack pointer: 64, 32 or 16 bits of RSP by the stack's size.
  void setStackPointer(long value) {
    long mask = stackMask();
    if (mask == 0xFFFF) {
      set16(RSP, (int) value);
    } else {
      r[RSP] = value & mask;
    }
  }

  void push(long value, int size) {
    long sp = r[RSP] - size & stackMask();
    long address = stackAddress(sp, size, true);
    switch (size) {
      case 2 -> store16(address, (int) value);
      case 4 -> store32(address, (int) value);
      default -> store64(address, value);
    }
    setStackPointer(sp);
  }

  /// Pops 2, 4 or 8 bytes, zero-extended.
  long pop(int size) {
    long sp = r[RSP] & stackMask();
    long value = peek(sp, size);
    setStackPointer(sp + size);
    return value;
  }

  /// Reads the stack at an offset without moving the pointer.
  long peek(long offset, int size) {
    long address = stackAddress(offset & stackMask(), size, false);
    return switch (size) {
      case 2 -> load16(address);
      case 4 -> load32(address) & 0xFFFF_FFFFL;
      default -> load64(address);
    };
  }

  /// Checks a near branch target: canonical, or within the code segment's limit. Faults belong to
  /// the
  /// branch instruction.
  long nearTarget(long target) {
    if (is64()) {
      if (!canonical(target)) {
        throw generalProtection(0);
      }
    } else if (Long.compareUnsigned(target, segmentLimit[CS] & 0xFFFF_FFFFL) > 0) {
      throw generalProtection(0);
    }
    return target;
  }

  // ---- Floating point and vector availability
  // ---------------------------------------------------------

  /// Before an x87 instruction (not WAIT).
  void requireX87() {
    if ((cr0 & (CR0_EM | CR0_TS)) != 0) {
      throw raise(GuestFault.DEVICE_NOT_AVAILABLE);
    }
  }

  /// Before an MMX instruction.
  void requireMmx() {
    if ((cr0 & (CR0_EM | CR0_TS)) != 0) {
      throw (cr0 & CR0_EM) != 0 ? invalidOpcode() : raise(GuestFault.DEVICE_NOT_AVAILABLE);
    }
  }

  /// Before an SSE instruction.
  void requireSse() {
    if (!hasSse()) {
      throw noSse();
    }
  }

  boolean hasSse() {
    return (cr0 & (CR0_EM | CR0_TS)) == 0 && (cr4 & CR4_OSFXSR) != 0;
  }

  /// Before a VEX-coded vector instruction.
  void requireAvx() {
    if (!hasAvx()) {
      throw noAvx();
    }
  }

  boolean hasAvx() {
    return (cr0 & CR0_TS) == 0 && (xcr0 & XCR0_AVX) == XCR0_AVX && (cr4 & CR4_OSXSAVE) != 0;
  }

  private GuestFault noAvx() {
    return (xcr0 & XCR0_AVX) != XCR0_AVX || (cr4 & CR4_OSXSAVE) == 0
        ? invalidOpcode()
        : raise(GuestFault.DEVICE_NOT_AVAILABLE);
  }

  // Apart, so that the check stays small enough for the compiler to inline.
  private GuestFault noSse() {
    return (cr0 & CR0_EM) != 0 || (cr4 & CR4_OSFXSR) == 0
        ? invalidOpcode()
        : raise(GuestFault.DEVICE_NOT_AVAILABLE);
  }
}
