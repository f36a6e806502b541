package dev.partita.engine.software;

import java.io.ByteArrayOutputStream;
import java.util.HexFormat;
import java.util.random.RandomGenerator;

/// Makes guest code that no assembler would: random bytes, random encodings that mostly decode, and
/// privileged and intricate instructions with bits flipped.
final class HostileCode {
  /// Instructions that touch much: descriptor tables, control registers, modes, state images, far
  /// transfers, strings, locked accesses. In 64-bit or 32-bit encoding, as they come: in the other
  /// mode they mean something else, which is as good.
  private static final String[] SEEDS = {
    "0F 01 10", // LGDT [RAX]
    "0F 01 18", // LIDT
    "0F 01 00", // SGDT
    "0F 01 08", // SIDT
    "0F 01 F0", // LMSW AX
    "0F 01 E0", // SMSW EAX
    "0F 01 3B", // INVLPG [RBX]
    "0F 01 F8", // SWAPGS
    "0F 01 F9", // RDTSCP
    "0F 01 D0", // XGETBV
    "0F 01 D1", // XSETBV
    "0F 01 C8", // MONITOR
    "0F 01 C9", // MWAIT
    "0F 01 CA", // CLAC
    "0F 01 CB", // STAC
    "0F 00 D0", // LLDT AX
    "0F 00 D8", // LTR AX
    "0F 00 C0", // SLDT EAX
    "0F 00 C8", // STR EAX
    "0F 00 E0", // VERR AX
    "0F 00 E9", // VERW CX
    "0F 02 C3", // LAR EAX, EBX
    "0F 03 C3", // LSL EAX, EBX
    "0F 05", // SYSCALL
    "0F 07", // SYSRET
    "48 0F 07",
    "0F 34", // SYSENTER
    "0F 35", // SYSEXIT
    "48 0F 35",
    "0F 06", // CLTS
    "0F 08", // INVD
    "0F 09", // WBINVD
    "0F 20 C0", // MOV EAX, CR0
    "0F 22 C0", // MOV CR0, EAX
    "0F 22 D0", // MOV CR2, EAX
    "0F 22 D8", // MOV CR3, EAX
    "0F 22 E0", // MOV CR4, EAX
    "44 0F 22 C0", // MOV CR8, RAX
    "0F 21 F8", // MOV EAX, DR7
    "0F 23 F8", // MOV DR7, EAX
    "0F 23 C0", // MOV DR0, EAX
    "0F 30", // WRMSR
    "0F 32", // RDMSR
    "B9 80 00 00 C0 0F 32 0F 30", // EFER: read, write
    "B9 80 00 00 C0 0F 30",
    "B9 1B 00 00 00 0F 32 0F 30", // APIC base
    "B9 01 08 00 00 0F 30", // x2APIC
    "B9 00 01 00 C0 0F 30", // FS base
    "B9 81 00 00 C0 0F 30", // STAR
    "B9 82 00 00 C0 0F 30", // LSTAR
    "B9 74 01 00 00 0F 30", // SYSENTER_CS
    "B9 77 02 00 00 0F 30", // PAT
    "B9 D9 01 00 00 0F 30", // DEBUGCTL
    "B9 10 00 00 00 0F 30", // TSC
    "0F A2", // CPUID
    "0F 31", // RDTSC
    "0F 33", // RDPMC
    "0F A0", // PUSH FS
    "0F A1", // POP FS
    "8E D8", // MOV DS, EAX
    "8E D0", // MOV SS, EAX
    "8E 18", // MOV DS, [RAX]
    "0F B4 03", // LFS EAX, [RBX]
    "0F B2 03", // LSS EAX, [RBX]
    "C5 03", // LDS EAX, [RBX]
    "CF", // IRET
    "48 CF",
    "66 CF",
    "CB", // RETF
    "48 CB",
    "CA 08 00",
    "FF 1B", // CALL far [RBX]
    "FF 2B", // JMP far [RBX]
    "9A 00 10 00 00 08 00", // CALL far
    "EA 00 10 00 00 40 00", // JMP far
    "EA 00 10 00 00 48 00",
    "EA 00 10 00 00 08 00",
    "CC", // INT3
    "CD 80", // INT 80h
    "CD 0D",
    "CE", // INTO
    "F1", // INT1
    "FA", // CLI
    "FB", // STI
    "FB F4", // STI; HLT
    "F4", // HLT
    "9C", // PUSHF
    "9D", // POPF
    "66 9D",
    "68 00 03 00 00 9D", // PUSH flags with TF; POPF
    "60", // PUSHA
    "61", // POPA
    "C8 10 00 05", // ENTER
    "C8 FF FF 1F",
    "C9", // LEAVE
    "F3 A4", // REP MOVSB
    "F3 48 A5",
    "F3 66 A5",
    "F3 AA", // REP STOSB
    "F3 48 AB",
    "67 F3 AA",
    "F3 AC", // REP LODSB
    "F3 A6", // REPE CMPSB
    "F2 AE", // REPNE SCASB
    "F2 48 AF",
    "F3 6C", // REP INSB
    "F3 6D",
    "F3 6E", // REP OUTSB
    "F3 6F",
    "E4 70", // IN AL, 70h
    "E7 80", // OUT 80h, EAX
    "EC", // IN AL, DX
    "EF", // OUT DX, EAX
    "FC", // CLD
    "FD", // STD
    "D7", // XLAT
    "62 03", // BOUND
    "63 C3", // ARPL, MOVSXD
    "F7 F3", // DIV EBX
    "48 F7 FB", // IDIV RBX
    "F6 FB", // IDIV BL
    "D4 00", // AAM 0
    "F0 0F C7 0B", // LOCK CMPXCHG8B
    "F0 48 0F C7 0B", // LOCK CMPXCHG16B
    "F0 0F B1 0B", // LOCK CMPXCHG
    "F0 0F C1 0B", // LOCK XADD
    "87 03", // XCHG [RBX], EAX
    "F0 0F AB 03", // LOCK BTS [RBX], EAX
    "0F AE 03", // FXSAVE
    "0F AE 0B", // FXRSTOR
    "48 0F AE 23", // XSAVE64
    "0F AE 2B", // XRSTOR
    "0F AE 33", // XSAVEOPT
    "0F C7 23", // XSAVEC
    "0F AE 13", // LDMXCSR
    "0F AE 1B", // STMXCSR
    "F3 48 0F AE D0", // WRFSBASE RAX
    "0F AE 3B", // CLFLUSH
    "66 0F 38 82 03", // INVPCID
    "D9 33", // FNSTENV
    "D9 23", // FLDENV
    "DD 33", // FNSAVE
    "DD 23", // FRSTOR
    "66 DD 33",
    "DF 33", // FBSTP
    "DF 23", // FBLD
    "DB 2B", // FLD m80
    "DB 3B", // FSTP m80
    "D9 F8", // FPREM
    "D9 FB", // FSINCOS
    "D9 F9", // FYL2XP1
    "D9 F3", // FPATAN
    "D9 FD", // FSCALE
    "9B", // FWAIT
    "0F 77", // EMMS
    "66 0F F7 C1", // MASKMOVDQU
    "66 0F 38 DC C1", // AESENC
    "66 0F 3A 44 C1 11", // PCLMULQDQ
    "66 0F 3A 63 C1 0C", // PCMPISTRI
    "C4 E2 78 F2 C3", // ANDN
    "C5 F8 77", // VZEROUPPER
    "C5 FC 77", // VZEROALL
    "C5 FC 10 03", // VMOVUPS YMM0, [RBX]
    "C5 FC 11 03", // VMOVUPS [RBX], YMM0: perhaps over code
    "C5 FD E7 03", // VMOVNTDQ
    "C5 FC 58 C1", // VADDPS
    "C5 F9 EF C1", // VPXOR
    "C4 E2 75 2C 03", // VMASKMOVPS, load
    "C4 E2 75 2E 03", // VMASKMOVPS, store
    "C4 E2 F5 8E 03", // VPMASKMOVQ, store
    "C4 E2 75 90 04 93", // VPGATHERDD YMM0, [RBX + YMM2 * 4], YMM1
    "C4 E2 F5 93 04 D3", // VGATHERQPD
    "C4 E2 F5 B8 03", // VFMADD231PD YMM0, YMM1, [RBX]
    "C4 E3 7D 1D 03 04", // VCVTPS2PH [RBX], YMM0
    "C4 E3 7D 19 03 01", // VEXTRACTF128 [RBX], YMM0
    "C4 E3 75 06 03 31", // VPERM2F128
    "C5 F8 AE 13", // VLDMXCSR
    "C5 F9 F7 C1", // VMASKMOVDQU
    "C5 F9 6E C0 C4 E2 7D 58 C0", // VMOVD XMM0, EAX; VPBROADCASTD YMM0, XMM0
    "B9 01 00 00 00 0F 01 D0", // XGETBV of XINUSE
    "B8 07 00 00 00 31 D2 31 C9 0F 01 D1", // XSETBV of 7
    "C4 E2 F9 F7 C3", // SHLX
    "0F 38 F0 03", // MOVBE
    "0F C7 F0", // RDRAND
    "0F 1F 44 00 00", // NOP
    "EB FE", // JMP to itself
    "E2 FE", // LOOP
    "E8 00 00 00 00", // CALL
    "C3", // RET
    "C2 FF FF",
    "FF E0", // JMP RAX
    "FF D3", // CALL RBX
    "C7 03 90 90 90 90", // MOV [RBX], imm: perhaps over code
    "C6 05 00 00 00 00 F4", // MOV [RIP], HLT: over the next instruction
    "66 90",
    "0F 0B", // UD2
    "0F B9 C0",
    "0F FF C0"
  };

  private static final int[] PREFIXES = {
    0x66, 0x67, 0xF0, 0xF2, 0xF3, 0x26, 0x2E, 0x36, 0x3E, 0x64, 0x65, 0x40, 0x48, 0x41, 0x4F
  };

  private HostileCode() {}

  /// Some code.
  ///
  /// @param size bytes
  static byte[] random(RandomGenerator random, int size) {
    var out = new ByteArrayOutputStream();
    int kind = random.nextInt(4);
    while (out.size() < size) {
      switch (kind) {
        case 0 -> out.write(random.nextInt());
        case 1 -> encoding(random, out);
        case 2 -> seed(random, out);
        default -> {
          if (random.nextBoolean()) {
            encoding(random, out);
          } else {
            seed(random, out);
          }
        }
      }
    }
    var bytes = out.toByteArray();
    return java.util.Arrays.copyOf(bytes, size);
  }

  private static void seed(RandomGenerator random, ByteArrayOutputStream out) {
    var bytes = HexFormat.of().parseHex(SEEDS[random.nextInt(SEEDS.length)].replace(" ", ""));
    if (random.nextInt(4) == 0) {
      bytes[random.nextInt(bytes.length)] ^= (byte) (1 << random.nextInt(8));
    }
    if (random.nextInt(8) == 0) {
      out.write(PREFIXES[random.nextInt(PREFIXES.length)]);
    }
    out.writeBytes(bytes);
  }

  /// Prefixes, an opcode in some map, ModR/M, perhaps SIB, small displacements and immediates.
  private static void encoding(RandomGenerator random, ByteArrayOutputStream out) {
    while (random.nextInt(3) == 0) {
      out.write(PREFIXES[random.nextInt(PREFIXES.length)]);
    }
    switch (random.nextInt(8)) {
      case 0, 1, 2 -> {}
      case 3, 4, 5 -> out.write(0x0F);
      case 6 -> {
        out.write(0x0F);
        out.write(random.nextBoolean() ? 0x38 : 0x3A);
      }
      default -> {
        out.write(0xC4);
        out.write(0xE0 | random.nextInt(1, 4));
        out.write(random.nextInt());
      }
    }
    out.write(random.nextInt());
    int modRm = random.nextInt(256);
    out.write(modRm);
    if (modRm < 0xC0 && (modRm & 7) == 4) {
      out.write(random.nextInt());
    }
    int extra = random.nextInt(9);
    for (int i = 0; i < extra; i++) {
      out.write(random.nextInt(3) == 0 ? random.nextInt() : 0);
    }
  }
}
