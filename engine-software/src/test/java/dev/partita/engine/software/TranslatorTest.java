package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;

/// Regions: which blocks they are made of, that they end with their code, and that the processor
/// leaves them exactly where it should.
class TranslatorTest {
  private final Guest guest = new Guest().longMode();

  @AfterEach
  void close() {
    guest.close();
  }

  /// The region at the code's start, after the code ran once.
  private Region regionOf(String hex) {
    guest.code(Guest.CODE, hex);
    guest.run();
    var cpu = guest.cpu();
    var entry = guest.processor().partition().code().find(Guest.CODE, cpu.mode);
    if (entry == null) {
      throw new AssertionError("the code did not run");
    }
    // All blocks that ran count as hot.
    warmUp(entry, new HashSet<>());
    return RegionCompiler.compile(RegionShape.of(new Watch(entry, Guest.CODE, null), cpu), false);
  }

  private void warmUp(Block block, Set<Long> seen) {
    block.heat = 0;
    var last = block.operations[block.operations.length - 1];
    if (last.follow() == Operation.Follow.JUMP || last.follow() == Operation.Follow.CONDITIONAL) {
      long target = block.address + last.target();
      var next = guest.processor().partition().code().find(target, block.mode);
      if (next != null && seen.add(target)) {
        warmUp(next, seen);
      }
    }
  }

  private void runRegion(Region region, int limit) {
    guest.cpu().rip = Guest.CODE;
    int executed = region.run(guest.cpu(), limit);
    if (executed < 0) {
      throw Region.thrown(guest.cpu());
    }
  }

  @Test
  void regionCountsItsInstructionsAndLeavesAtTheHalt() {
    // mov eax, 5
    // add eax, 2
    // hlt
    var region = regionOf("b805000000 83c002 f4");
    var cpu = guest.cpu();
    cpu.r[Cpu.RAX] = 0;
    cpu.rip = Guest.CODE;
    assertThat(region.run(cpu, 100)).isEqualTo(3);
    assertThat(cpu.r[Cpu.RAX]).isEqualTo(7);
    assertThat(cpu.rip).isEqualTo(Guest.CODE + 9);
  }

  @Test
  void loopEndsWithItsBudgetAndGoesOnWhereItWas() {
    // again: inc eax
    // dec ecx
    // jnz again
    // hlt
    var region = regionOf("ffc0 ffc9 75fa f4");
    var cpu = guest.cpu();
    cpu.r[Cpu.RAX] = 0;
    cpu.r[Cpu.RCX] = 1000;
    cpu.rip = Guest.CODE;
    int executed = region.run(cpu, 29);
    assertThat(executed).isBetween(29, 33);
    assertThat(cpu.rip).isEqualTo(Guest.CODE);
    assertThat(cpu.r[Cpu.RAX]).isEqualTo(executed / 3);
    assertThat(cpu.r[Cpu.RCX]).isEqualTo(1000 - executed / 3);
  }

  @Test
  void codeThatIsWrittenTakesItsRegionWithIt() {
    var region = regionOf("ffc0 f4");
    for (var block : region.blocks) {
      assertThat(block.joined(region)).isTrue();
    }
    region.entry().region = region;
    guest.memory.write(Guest.CODE + 1, new byte[] {(byte) 0xC1});
    assertThat(region.valid).isFalse();
    assertThat(region.entry().region).isNull();
  }

  @Test
  void blockWrittenWhileItsRegionWasMadeRefusesIt() {
    var region = regionOf("ffc0 f4");
    guest.memory.write(Guest.CODE, HexFormat.of().parseHex("ffc1"));
    assertThat(region.entry().joined(region)).isFalse();
  }

  @Test
  void callWithoutEffectResolvesReferencesAndChangesNothing() {
    // mov [rbx], rax
    // add eax, [rbx]
    // movdqu xmm0, [rbx]
    // hlt
    var region = regionOf("488903 0303 f30f6f03 f4");
    var cpu = guest.cpu();
    long rax = cpu.r[Cpu.RAX];
    long flags = cpu.flags();
    region.code.run(cpu, 0, -1);
    assertThat(cpu.r[Cpu.RAX]).isEqualTo(rax);
    assertThat(cpu.flags()).isEqualTo(flags);
    assertThat(cpu.regionThrown).isNull();
  }

  @Test
  void faultInTheMiddleFindsTheStateBeforeTheInstruction() {
    // mov ebx, 0x6000
    // add eax, 1
    // mov [rbx], eax
    // hlt
    var region = regionOf("bb00600000 83c001 8903 f4");
    var cpu = guest.cpu();
    guest.memory.writeLong(Guest.PT + 6 * 8, 0);
    cpu.mmu.flush();
    cpu.r[Cpu.RAX] = 0x7FFF_FFFF;
    cpu.rip = Guest.CODE;
    // The interpreter meets the fault.
    assertThat(region.run(cpu, 100)).isEqualTo(2);
    assertThat(cpu.regionMissed).isTrue();
    assertThat(cpu.rip).isEqualTo(Guest.CODE + 8);
    assertThat(cpu.r[Cpu.RAX]).isEqualTo(0x8000_0000L);
    assertThat(cpu.of()).isTrue();
    assertThat(cpu.sf()).isTrue();
  }

  @Test
  void regionOfTooMuchCodeIsCutDown() {
    // 60 times: lock add [rbx], eax; jmp to what follows: no code of its own, and many blocks.
    var code = new StringBuilder("bb00600000");
    for (int i = 0; i < 60; i++) {
      code.append("f00103 eb00".replace(" ", ""));
    }
    var region = regionOf(code.append("f4").toString());
    assertThat(region.codeSize).isLessThanOrEqualTo(RegionCompiler.MAX_CODE);
    assertThat(region.blocks.length).isPositive();
    runRegion(region, 1000);
    assertThat(guest.cpu().rip).isGreaterThan(Guest.CODE);
  }

  @Test
  void whatRanWhenItWasWatchedIsTakenBeforeWhatIsOnlyWarm() {
    // again: test eax, eax; jz hot; 100 times inc edx; xor eax, eax; jmp again
    // hot: 100 times inc ecx; hlt
    guest.code(
        Guest.CODE,
        "85c0 0f84cf000000" + "ffc2".repeat(100) + "31c0 e929ffffff" + "ffc1".repeat(100) + "f4");
    var cpu = guest.cpu();
    cpu.r[Cpu.RAX] = 1;
    guest.run();
    long cold = Guest.CODE + 8;
    long hot = Guest.CODE + 215;
    for (long at : new long[] {Guest.CODE, cold, cold + 128, hot, hot + 128}) {
      block(at).heat = 0;
    }
    var watch = new Watch(block(Guest.CODE), Guest.CODE, null);
    assertThat(offsets(RegionShape.of(watch, cpu))).contains(8L).doesNotContain(215L);
    watch.saw(block(Guest.CODE));
    watch.saw(block(hot));
    watch.saw(block(hot + 128));
    assertThat(offsets(RegionShape.of(watch, cpu))).containsExactly(0L, 215L, 343L);
  }

  private Block block(long address) {
    var block = guest.processor().partition().code().find(address, guest.cpu().mode);
    if (block == null) {
      throw new AssertionError("no code at %x".formatted(address));
    }
    return block;
  }

  private static List<Long> offsets(RegionShape shape) {
    return shape.nodes.stream().map(node -> node.offset).toList();
  }
}
