"""One warm engine for many pictures: sources become pixels, names become models."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

from cleancut import sources
from cleancut.errors import BadOption, OutOfMemory
from cleancut.options import OptionChanges, Options, parse_background

if TYPE_CHECKING:
    from typing_extensions import Unpack

    from cleancut.arrays import Alpha
    from cleancut.cache.entry import Cache
    from cleancut.cache.recall import Recall
    from cleancut.catalog import ModelSpec
    from cleancut.face import Face
    from cleancut.guidance import Guidance, Source
    from cleancut.imaging.picture import Picture
    from cleancut.matting.guidance import Marks
    from cleancut.models.base import Model
    from cleancut.models.load import Placing
    from cleancut.models.shelf import LoadedModel
    from cleancut.panel import Member, Panel
    from cleancut.result import Encoded, Result


class Engine:
    """Keeps models warm between pictures; every method may be called from many threads at once.

    ``options`` are the defaults of every call. ``max_models`` models stay loaded, the least
    recently used one goes first; with ``max_model_bytes`` no more than fit into that much memory
    (``models.shelf``). ``threads`` limits the threads of one network (default: the processors this
    process may use). Models are loaded on first use, each once. ``cache`` keeps what ``encoded``
    makes, see ``cleancut.cache.open_cache``; closing it is up to the caller.
    """

    def __init__(
        self,
        options: Options | None = None,
        *,
        max_models: int = 3,
        max_model_bytes: int | None = None,
        threads: int | None = None,
        cache: Cache | None = None,
    ) -> None:
        for name, value in (
            ("max_models", max_models),
            ("max_model_bytes", max_model_bytes),
            ("threads", threads),
        ):
            if value is not None and (not isinstance(value, int) or value < 1):
                raise BadOption(f"{name}: {value!r} is not a whole number from 1 up")
        self.options = options or Options()
        from cleancut.models.shelf import Shelf

        self._threads = threads
        self._shelf = Shelf(max_models, max_model_bytes, digests=cache is not None)
        self._backdrops = sources.Backdrops(keep=max_model_bytes is None)
        self._recall: Recall | None = None
        if cache is not None:
            from cleancut.cache.recall import Recall

            self._recall = Recall(cache, self._weights)

    def cutout(
        self,
        source: Source,
        *,
        bgr: bool = False,
        guidance: Guidance | None = None,
        options: Options | None = None,
        **changes: Unpack[OptionChanges],
    ) -> Result:
        """Remove the background of one picture.

        ``source`` is a path, file bytes, an open file, a PIL image or an array: (H, W), (H, W, 3)
        or (H, W, 4), uint8, uint16 or float in 0..1, RGB unless ``bgr`` says otherwise (OpenCV
        arrays are BGR). ``guidance`` is what is known about it: trimap, mask, matte, scribbles,
        points, boxes. ``changes`` are fields of ``Options`` for this call only. Raises the
        errors of ``cleancut.errors``.
        """
        from cleancut import pipeline

        chosen = (options or self.options).with_(**changes)
        if chosen.is_layered:
            from cleancut.imaging.psd import check_installed

            check_installed()
        clock = _Clock()
        with memory_errors():
            picture = self.read(source, bgr=bgr, options=chosen)
            limit = chosen.max_megapixels
            backdrop = self._backdrops.read(parse_background(chosen.background), limit)
            marks = sources.read_guidance(guidance, picture, max_megapixels=limit)
            clock.mark("decode")
            panel, notes = self._panel_or_none(chosen, marks)
            clock.mark("load")
            faces: tuple[Face, ...] = ()
            if chosen.head is not None:
                faces = self._faces(picture)
                clock.mark("faces")
            result = pipeline.cutout(
                picture,
                panel,
                chosen,
                marks=marks,
                background=backdrop,
                faces=faces,
                mark=clock.mark,
            )
        return replace(result, notes=(*notes, *result.notes), timings=clock.timings)

    def encoded(
        self,
        source: Source,
        *,
        bgr: bool = False,
        guidance: Guidance | None = None,
        options: Options | None = None,
        **changes: Unpack[OptionChanges],
    ) -> Encoded:
        """The cutout as the bytes of a file in ``options.format``, else PNG.

        Arguments and errors as in ``cutout``. With a cache the picture is looked up first, unless
        it or its guidance is an array, an image or an open file; trouble with the cache is a note.
        """
        chosen = (options or self.options).with_(**changes)
        if self._recall is None or not sources.is_file(source):
            return self._encoded(source, bgr, guidance, chosen)
        from cleancut.imaging import files

        data = files.read_bytes(source)
        return self._recall.encoded(
            data, chosen, guidance, lambda: self._encoded(data, bgr, guidance, chosen)
        )

    def kept(
        self, source: bytes, *, guidance: Guidance | None = None, options: Options | None = None
    ) -> Encoded | None:
        """What the cache holds of ``source``, a picture file's bytes; nothing is cut or loaded.

        Arguments as in ``encoded``. None if nothing is kept, and for what would be an error there.
        """
        if self._recall is None:
            return None
        return self._recall.kept(source, options or self.options, guidance)

    def _encoded(
        self, source: Source, bgr: bool, guidance: Guidance | None, options: Options
    ) -> Encoded:
        from cleancut.result import Encoded

        result = self.cutout(source, bgr=bgr, guidance=guidance, options=options)
        clock = _Clock()
        with memory_errors():
            data = result.encode()
        clock.mark("encode")
        result = replace(result, timings={**result.timings, **clock.timings})
        facts = {**result.to_dict(), "cached": False}
        return Encoded(data=data, format=options.format or "png", facts=facts, result=result)

    def matte(
        self,
        source: Source,
        *,
        bgr: bool = False,
        guidance: Guidance | None = None,
        options: Options | None = None,
        **changes: Unpack[OptionChanges],
    ) -> Alpha:
        """Only the matte of one picture: (H, W) float32 in 0..1. Arguments as in ``cutout``."""
        chosen = (options or self.options).with_(**changes).with_(decontaminate=False, shadow=None)
        return self.cutout(source, bgr=bgr, guidance=guidance, options=chosen).alpha

    def read(self, source: Source, *, bgr: bool = False, options: Options | None = None) -> Picture:
        """Decode ``source``; limits are checked before any pixel is."""
        return sources.read(
            source, bgr=bgr, max_megapixels=(options or self.options).max_megapixels
        )

    def model_for(self, options: Options) -> tuple[Model, tuple[str, ...]]:
        """The loaded model that ``options`` ask for, and notes on how it was chosen.

        For "auto" that is the network that says what the subject is, on its own.
        """
        from cleancut.models.choose import choose

        choice = choose(options)
        return self._load(choice.lead, options), choice.notes

    def panel_for(self, options: Options) -> tuple[Panel, tuple[str, ...]]:
        """The networks that may be asked, and notes on how they were chosen.

        A network that the user named is loaded here; those of "auto" when they are first asked.
        """
        from cleancut.models.choose import choose
        from cleancut.models.load import sized
        from cleancut.panel import GLANCE_PX, Panel, single

        choice = choose(options)
        if options.model != "auto":
            return single(self._load(choice.lead, options)), choice.notes

        def member(spec: ModelSpec | None, side_px: int | None = None) -> Member | None:
            if spec is None:
                return None
            return lambda: sized(self._load(spec, options), side_px)

        panel = Panel(
            lead=lambda: self._load(choice.lead, options),
            portrait=member(choice.portrait),
            glance=member(choice.portrait, GLANCE_PX),
            second=member(choice.second),
        )
        return panel, choice.notes

    def _load(self, spec: ModelSpec, options: Options) -> Model:
        return self._shelf.get(spec, self._placing(options))

    def loaded(self) -> tuple[LoadedModel, ...]:
        """The models in memory, the least recently used first."""
        return self._shelf.loaded()

    def _weights(self, spec: ModelSpec, options: Options) -> str:
        """sha256 of the weights that ``spec`` runs with: those loaded, else those to be loaded."""
        from cleancut.models.load import weights_sha256

        placing = self._placing(options)
        loaded = self._shelf.digest(spec, placing)
        return weights_sha256(spec, placing) if loaded is None else loaded

    def _placing(self, options: Options) -> Placing:
        from cleancut.models.load import Placing

        return Placing(options.backend, options.device, options.precision, self._threads)

    def _faces(self, picture: Picture) -> tuple[Face, ...]:
        from cleancut.models.faces import load_faces
        from cleancut.subject import model_view

        view = model_view(picture)
        return tuple(
            face.scaled(picture.width / view.shape[1])
            for face in load_faces(self._threads).find(view)
        )

    def _panel_or_none(
        self, options: Options, marks: Marks | None
    ) -> tuple[Panel, tuple[str, ...]]:
        """The panel; a user who brings the matte needs no network."""
        if marks is None or not marks.given:
            return self.panel_for(options)
        from cleancut.panel import nobody

        return nobody(), ()


class _Clock:
    """Milliseconds by stage, between one mark and the next."""

    def __init__(self) -> None:
        self.timings: dict[str, float] = {}
        self._last = time.perf_counter()

    def mark(self, stage: str) -> None:
        now = time.perf_counter()
        self.timings[stage] = self.timings.get(stage, 0.0) + 1000 * (now - self._last)
        self._last = now


@contextmanager
def memory_errors() -> Iterator[None]:
    """Turn numpy's and OpenCV's out-of-memory errors into ``OutOfMemory``."""
    try:
        yield
    except MemoryError as error:
        raise out_of_memory() from error
    except Exception as error:
        if type(error).__module__.startswith("cv2") and "Insufficient memory" in str(error):
            raise out_of_memory() from error
        raise


def out_of_memory() -> OutOfMemory:
    """The error for a picture that there was not memory enough for."""
    return OutOfMemory(
        "memory ran out on this picture", hint="free memory, or shrink the picture first"
    )


_shared: Engine | None = None
_shared_lock = threading.Lock()


def shared() -> Engine:
    """The engine behind the module-level functions, made on first use."""
    global _shared
    with _shared_lock:
        if _shared is None:
            _shared = Engine()
        return _shared


def cutout(
    source: Source,
    *,
    bgr: bool = False,
    guidance: Guidance | None = None,
    options: Options | None = None,
    **changes: Unpack[OptionChanges],
) -> Result:
    """Remove the background of one picture with a shared engine; see ``Engine.cutout``.

    >>> from cleancut import cutout
    >>> cutout("photo.jpg", model="isnet").save("photo.cutout.png")  # doctest: +SKIP
    """
    return shared().cutout(source, bgr=bgr, guidance=guidance, options=options, **changes)


def matte(
    source: Source,
    *,
    bgr: bool = False,
    guidance: Guidance | None = None,
    options: Options | None = None,
    **changes: Unpack[OptionChanges],
) -> Alpha:
    """Only the matte of one picture, (H, W) float32 in 0..1; see ``Engine.matte``."""
    return shared().matte(source, bgr=bgr, guidance=guidance, options=options, **changes)
