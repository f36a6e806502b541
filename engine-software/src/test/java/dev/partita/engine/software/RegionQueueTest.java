package dev.partita.engine.software;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;

/// Which region is translated next.
class RegionQueueTest {
  private final RegionQueue queue = new RegionQueue();

  private static RegionShape shape(long address) {
    var block = new Block(new Operation[] {new Block.Advance()}, 0, 1, address, Cpu.MODE_64, -1);
    return RegionShape.of(List.of(new RegionShape.Node(block, 0)));
  }

  @Test
  void whatWasAskedForMostOftenComesFirst() throws InterruptedException {
    var cold = shape(0x1000);
    var hot = shape(0x2000);
    assertThat(queue.offer(cold)).isTrue();
    assertThat(queue.offer(hot)).isTrue();
    assertThat(queue.again(hot.entry().block)).isTrue();
    assertThat(queue.take()).isSameAs(hot);
    assertThat(queue.take()).isSameAs(cold);
  }

  @Test
  void equalOnesKeepTheirOrder() throws InterruptedException {
    var first = shape(0x2000);
    var second = shape(0x1000);
    queue.offer(first);
    queue.offer(second);
    assertThat(queue.take()).isSameAs(first);
    assertThat(queue.take()).isSameAs(second);
  }

  @Test
  void anEntryWaitsOnce() throws InterruptedException {
    var one = shape(0x1000);
    assertThat(queue.again(one.entry().block)).isFalse();
    assertThat(queue.offer(one)).isTrue();
    assertThat(queue.offer(one)).isFalse();
    assertThat(queue.take()).isSameAs(one);
    assertThat(queue.again(one.entry().block)).isFalse();
  }

  @Test
  void moreThanThereIsRoomForAreRefused() {
    int taken = 0;
    for (int i = 0; i < 2000; i++) {
      if (queue.offer(shape(64L * i))) {
        taken++;
      }
    }
    assertThat(taken).isEqualTo(512);
  }
}
