"""Sound that its new container does not hold, decoded and encoded again without losing its time."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np

#: Encoder, and bits a second for each channel.
_ENCODERS = {"opus": ("libopus", 80_000), "aac": ("aac", 96_000)}
_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000)
#: Times in containers are rounded; what is off by less is not a gap.
_JITTER_S = Fraction(1, 25)
#: A longer gap is left out of the samples' count, so that no hostile time makes hours of silence.
_LONGEST_GAP_S = 600


class EncodedSound:
    """One track, decoded, cut to the span by the sample, gaps filled with silence, encoded."""

    def __init__(
        self, stream: Any, container: Any, codec: str, *, origin: Fraction, end: Fraction
    ) -> None:
        import av

        name, bits = _ENCODERS[codec]
        context = stream.codec_context
        rate = (
            48000
            if codec == "opus" or context.sample_rate not in _AAC_RATES
            else context.sample_rate
        )
        layout = context.layout.name if context.channels in (1, 2, 6) else "stereo"
        if context.channels == 6:
            layout = "5.1"
        self._av = av
        self._resampler = av.AudioResampler(format="fltp", layout=layout, rate=rate)
        self.stream = container.add_stream(name, rate=rate, layout=layout)
        self.stream.bit_rate = bits * max(1, min(context.channels, 6))
        self.stream.time_base = Fraction(1, rate)
        self._rate, self._layout = rate, layout
        self._origin = origin
        self._stop = round((end - origin) * rate)
        self._source = stream
        self._at: int | None = None  # samples that lie behind, counted from the origin
        self.done = False

    def keep(self, packet: Any) -> list[Any]:
        """Packets that became of one packet of the source."""
        out: list[Any] = []
        for frame in packet.decode():
            if frame.pts is not None:
                self._move_to(frame, out)
            frame.pts = None
            for piece in self._resampler.resample(frame):
                out += self._encoded(piece.to_ndarray())
        return out

    def _move_to(self, frame: Any, out: list[Any]) -> None:
        """Bring the count of samples to the frame's time: silence, or samples to be skipped."""
        at = round((frame.pts * frame.time_base - self._origin) * self._rate)
        if self._at is None:
            self._at = at
        gap = at - self._at
        if abs(gap) <= self._rate * _JITTER_S:
            return
        if 0 < gap <= _LONGEST_GAP_S * self._rate:
            channels = self._av.AudioLayout(self._layout).nb_channels
            for start in range(0, gap, self._rate):
                quiet = np.zeros((channels, min(self._rate, gap - start)), np.float32)
                out += self._encoded(quiet)
        elif gap < 0:
            self._at = at

    def _encoded(self, samples: Any) -> list[Any]:
        assert self._at is not None
        begin, end = self._at, self._at + samples.shape[1]
        self._at = end
        if begin >= self._stop:
            self.done = True
            return []
        samples = samples[:, max(0, -begin) : max(0, self._stop - begin)]
        if not samples.shape[1]:
            return []
        frame = self._av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples), format="fltp", layout=self._layout
        )
        frame.sample_rate = self._rate
        frame.pts, frame.time_base = max(0, begin), Fraction(1, self._rate)
        return self._given(self.stream.encode(frame))

    def finish(self) -> list[Any]:
        """Packets that the encoder still holds."""
        return self._given(self.stream.encode(None))

    def _given(self, packets: list[Any]) -> list[Any]:
        for packet in packets:
            packet.stream = self.stream
        return [packet for packet in packets if packet.dts is not None]
