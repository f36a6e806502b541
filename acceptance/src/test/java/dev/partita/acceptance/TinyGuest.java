package dev.partita.acceptance;

import java.io.ByteArrayOutputStream;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;

/// A guest of a few instructions, for tests of all around it: an ELF kernel that says {@link
/// #GREETING} on COM1, then echoes what it receives, but for the letters that make it power off,
/// reset, and so on. It polls, and needs nothing of a machine but the serial port.
final class TinyGuest {
  /// What it prints first, without the line end.
  static final String GREETING = "tiny guest";

  /// Powers off.
  static final char POWER_OFF = 'P';

  /// Resets the machine.
  static final char RESET = 'R';

  /// Faults with no way to handle it.
  static final char TRIPLE_FAULT = 'T';

  /// Prints for ever.
  static final char FLOOD = 'F';

  private static final int ADDRESS = 0x10_0000;
  private static final int ELF_HEADER = 64;
  private static final int PROGRAM_HEADER = 56;

  private final ByteArrayOutputStream code = new ByteArrayOutputStream();

  private TinyGuest() {}

  /// The kernel's file.
  static byte[] elf() {
    var code = new TinyGuest().assemble();
    var file =
        ByteBuffer.allocate(ELF_HEADER + PROGRAM_HEADER + code.length)
            .order(ByteOrder.LITTLE_ENDIAN);
    file.put(new byte[] {0x7f, 'E', 'L', 'F', 2, 1, 1, 0}).putLong(0);
    file.putShort((short) 2).putShort((short) 62).putInt(1); // executable, x86-64
    file.putLong(ADDRESS).putLong(ELF_HEADER).putLong(0).putInt(0);
    file.putShort((short) ELF_HEADER).putShort((short) PROGRAM_HEADER).putShort((short) 1);
    file.putShort((short) 0).putShort((short) 0).putShort((short) 0);
    file.putInt(1).putInt(7); // loaded; read, write, execute
    file.putLong(ELF_HEADER + PROGRAM_HEADER).putLong(ADDRESS).putLong(ADDRESS);
    file.putLong(code.length).putLong(code.length).putLong(0x1000);
    file.put(code);
    return file.array();
  }

  private byte[] assemble() {
    emit(0x66, 0xBA, 0xFB, 0x03); // mov dx, line control
    emit(0xB0, 0x03, 0xEE); // mov al, 8 data bits; out dx, al
    emit(0x66, 0xBA, 0xFC, 0x03); // mov dx, modem control
    emit(0xB0, 0x03, 0xEE); // mov al, DTR and RTS: ready to receive; out dx, al
    for (char c : (GREETING + "\r\n").toCharArray()) {
      emit(0xB0, c); // mov al, c
      transmit();
    }
    int loop = code.size();
    emit(0x66, 0xBA, 0xFD, 0x03); // mov dx, line status
    emit(0xEC); // in al, dx
    emit(0xA8, 0x01); // test al, data ready
    emit(0x75, 0x04); // jnz over the next two
    emit(0xF3, 0x90); // pause
    jump(loop);
    emit(0x66, 0xBA, 0xF8, 0x03); // mov dx, data
    emit(0xEC); // in al, dx
    // S5: SLP_TYP 5, SLP_EN in PM1_CNT
    onLetter(POWER_OFF, 0x66, 0xB8, 0x00, 0x34, 0x66, 0xBA, 0x04, 0x04, 0x66, 0xEF, 0xEB, 0xFE);
    // 6 to the reset control register
    onLetter(RESET, 0xB0, 0x06, 0x66, 0xBA, 0xF9, 0x0C, 0xEE, 0xEB, 0xFE);
    // push 0; push 0; lidt [rsp]; ud2
    onLetter(TRIPLE_FAULT, 0x6A, 0x00, 0x6A, 0x00, 0x0F, 0x01, 0x1C, 0x24, 0x0F, 0x0B);
    // mov al, 'x'; mov dx, data; out dx, al; jmp to the out
    onLetter(FLOOD, 0xB0, 'x', 0x66, 0xBA, 0xF8, 0x03, 0xEE, 0xEB, 0xFD);
    transmit();
    jump(loop);
    return code.toByteArray();
  }

  /// cmp al, letter; jne over the body; the body.
  private void onLetter(char letter, int... body) {
    emit(0x3C, letter, 0x75, body.length);
    emit(body);
  }

  private void transmit() {
    emit(0x66, 0xBA, 0xF8, 0x03, 0xEE); // mov dx, data; out dx, al
  }

  /// A short jump back.
  private void jump(int to) {
    emit(0xEB, to - (code.size() + 2));
  }

  private void emit(int... bytes) {
    for (int b : bytes) {
      code.write(b);
    }
  }
}
