package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import dev.partita.hypervisor.Intercept;
import dev.partita.hypervisor.ProcessorState.Activity;
import dev.partita.hypervisor.RunExit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Two processors, each on its own thread: INIT and SIPI, code that one writes and the other runs,
/// locked operations.
class MultiprocessorTest {
  private final Guest guest = new Guest(2);

  @AfterEach
  void close() {
    guest.close();
  }

  private Cpu second() {
    return guest.partition.softwareProcessors().get(1).cpu();
  }

  /// Runs both until each halts with interrupts off.
  private void runBoth() throws InterruptedException {
    var failure = new AtomicReference<Intercept.Shutdown>();
    var threads = new Thread[2];
    for (int i = 0; i < 2; i++) {
      var processor = guest.partition.softwareProcessors().get(i);
      processor.setBudget(200_000_000);
      threads[i] =
          new Thread(
              () ->
                  processor.run(
                      (p, intercept) -> {
                        if (intercept instanceof Intercept.Shutdown s) {
                          failure.set(s);
                        }
                        synchronized (guest) {
                          guest.handle(p, intercept);
                        }
                      }));
      threads[i].start();
    }
    for (var thread : threads) {
      thread.join();
    }
    assertThat(failure.get()).isNull();
  }

  @Test
  void secondProcessorWaitsForInitAndSipi() throws InterruptedException {
    assertThat(guest.partition.processors().get(1).state().events().activity())
        .isEqualTo(Activity.WAIT_FOR_SIPI);
    guest.portHook =
        (p, port, value) -> {
          var other = guest.partition.processors().get(1);
          if (port == 0x10) {
            other.requestInit();
          } else {
            other.requestStartup(value & 0xFF);
          }
        };
    guest.longMode();
    // INIT, SIPI with vector 6 twice, then wait for the other's flag.
    // out 0x10, al
    // mov al, 6
    // out 0x11, al
    // out 0x11, al
    // again: pause
    // cmp word [0x7000], 0x600
    // jne again
    // cli
    // hlt
    guest.code(Guest.CODE, "e610 b006 e611 e611 f390 66813c25007000000006 75f2 fa f4");
    // mov ax, cs
    // mov ds, ax
    // mov bx, 0x7000
    // xor cx, cx
    // mov ds, cx
    // mov [bx], ax
    // cli
    // hlt
    guest.code(0x6000, "8cc8 8ed8 bb0070 31c9 8ed9 8907 fa f4");
    runBoth();
    assertThat(second().segmentSelector[Cpu.CS]).isEqualTo(0x600);
    assertThat(second().segmentBase[Cpu.CS]).isEqualTo(0x6000);
    assertThat(guest.memory.readShort(0x7000)).isEqualTo((short) 0x600);
    assertThat(second().protectedMode()).isFalse();
  }

  @Test
  void initOfTheBootProcessorRestartsItAtTheResetVector() {
    guest.longMode();
    guest.cpu().xmm[0] = 5;
    guest.cpu().msrs.lstar = 7;
    guest.processor().requestInit();
    // The reset vector is outside RAM, which ends the run.
    assertThat(guest.processor().run(guest::handle)).isEqualTo(RunExit.SHUTDOWN);
    var c = guest.cpu();
    assertThat(c.rip).isEqualTo(0xFFF0);
    assertThat(c.protectedMode()).isFalse();
    assertThat(c.efer).isZero();
    assertThat(c.xmm[0]).as("vector registers stay").isEqualTo(5);
    assertThat(c.msrs.lstar).as("MSRs stay").isEqualTo(7);
  }

  /// Puts the second processor into 64-bit mode beside the first.
  private void bothInLongMode(long secondCode) {
    guest.longMode();
    guest.partition.processors().get(1).setState(guest.partition.processors().get(0).state());
    second().rip = secondCode;
    second().r[Cpu.RSP] = Guest.STACK - 0x1000;
  }

  @Test
  void codeWrittenByOneProcessorIsRunByTheOther() throws InterruptedException {
    bothInLongMode(0xC000);
    // The first calls the function at 0xD000 until it returns 2; the second changes it from 1.
    guest.code(0xD000, "b8 01 00 00 00 c3");
    // again: mov ebx, 0xd000
    // call rbx
    // mov [0x7000], eax
    // cmp eax, 2
    // jne again
    // cli
    // hlt
    guest.code(Guest.CODE, "bb00d00000 ffd3 89042500700000 83f802 75ed fa f4");
    // spin: pause
    // cmp dword [0x7000], 1
    // jne spin
    // mov byte [0xd001], 2
    // cli
    // hlt
    guest.code(0xC000, "f390 833c250070000001 75f4 c6042501d0000002 fa f4");
    runBoth();
    assertThat(guest.register(Cpu.RAX)).isEqualTo(2);
  }

  @Test
  void lockedIncrementsAreNotLost() throws InterruptedException {
    bothInLongMode(0xC000);
    // 200,000 increments each of an aligned counter and of one that straddles eight bytes.
    // mov ecx, 200000
    // again: lock inc dword [0x7000]
    // lock add dword [0x7106], 1
    // dec ecx
    // jnz again
    // cli
    // hlt
    guest.code(Guest.CODE, "b9400d0300 f0ff042500700000 f08304250671000001 ffc9 75eb fa f4");
    // mov ecx, 200000
    // again: lock inc dword [0x7000]
    // lock add dword [0x7106], 1
    // dec ecx
    // jnz again
    // cli
    // hlt
    guest.code(0xC000, "b9400d0300 f0ff042500700000 f08304250671000001 ffc9 75eb fa f4");
    runBoth();
    assertThat(guest.memory.readInt(0x7000)).isEqualTo(400_000);
    assertThat(guest.memory.readInt(0x7106)).isEqualTo(400_000);
  }

  @Test
  void messagePassedInMemoryArrivesInOrder() throws InterruptedException {
    bothInLongMode(0xC000);
    // The first writes data, then a sequence number; the second reads them the other way round.
    // mov ecx, 1
    // again: mov [0x7000], ecx
    // mov [0x7800], ecx
    // inc ecx
    // cmp ecx, 300000
    // jne again
    // mov dword [0x7800], -1
    // cli
    // hlt
    guest.code(
        Guest.CODE,
        "b901000000 890c2500700000 890c2500780000 ffc1 81f9e0930400 75e8 "
            + "c7042500780000ffffffff fa f4");
    // xor edx, edx
    // again: mov eax, [0x7800]
    // mov ebx, [0x7000]
    // cmp eax, -1
    // je done
    // cmp ebx, eax
    // jae again
    // inc edx
    // jmp again
    // done: cli
    // hlt
    guest.code(
        0xC000, "31d2 8b042500780000 8b1c2500700000 83f8ff 7408 39c3 73e9 ffc2 ebe5 " + "fa f4");
    runBoth();
    assertThat(second().r[Cpu.RDX]).as("data older than its number").isZero();
  }

  /// Takes a page away from a processor that writes to it, again and again. Where the entry that
  /// was taken had no dirty bit, nothing may have been written through it.
  @Test
  void whoTakesAPageAwayLearnsWhetherItWasWritten() throws InterruptedException {
    guest.longMode();
    // again: invlpg [0x7000]
    // inc dword [0x7000]
    // cmp byte [0x6000], 0
    // je again
    // cli
    // hlt
    guest.code(Guest.CODE, "0f013c2500700000 ff042500700000 803c250060000000 74e7 fa f4");
    // inc dword [0x6008]
    // add rsp, 8
    // iretq
    guest.code(Guest.HANDLERS + 16 * 14, "ff042508600000 4883c408 48cf");
    guest.setPage(0x7000, 0);
    var failure = new AtomicReference<Intercept.Shutdown>();
    var processor = guest.processor();
    var thread =
        new Thread(
            () ->
                processor.run(
                    (p, intercept) -> {
                      if (intercept instanceof Intercept.Shutdown s) {
                        failure.set(s);
                      }
                      guest.handle(p, intercept);
                    }));
    thread.start();
    long host = guest.memory.segment().address();
    long entry = host + Guest.PT + 7 * 8;
    int untouched = 0;
    int lost = 0;
    int before = 0;
    for (int n = 0; n < TAKEN && thread.isAlive(); n++) {
      Raw.setLong(entry, 0x7000 | 0x23);
      for (int spin = n & 63; spin > 0; spin--) {
        Thread.onSpinWait();
      }
      long taken = Raw.getLong(entry);
      while (!Raw.compareAndSetLong(entry, taken, 0)) {
        taken = Raw.getLong(entry);
      }
      // The second fault from here began after the entry was gone.
      int faults = Raw.getInt(host + 0x6008);
      while (Raw.getInt(host + 0x6008) - faults < 2 && thread.isAlive()) {
        Thread.onSpinWait();
      }
      int now = Raw.getInt(host + 0x7000);
      if ((taken & 0x40) == 0) {
        untouched++;
        lost += now != before ? 1 : 0;
      }
      before = now;
    }
    guest.memory.writeByte(0x6000, (byte) 1);
    Raw.setLong(entry, 0x7000 | 0x23);
    thread.join();
    assertThat(failure.get()).isNull();
    assertThat(untouched).as("taken before it was written").isPositive();
    assertThat(before).as("written").isPositive();
    assertThat(lost).as("written, and nobody knows").isZero();
  }

  /// More with -Dpartita.taken.
  private static final int TAKEN = Integer.getInteger("partita.taken", 3_000);
}
